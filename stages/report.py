"""Turn saved results into tables, figures and the page. Reads no network and trains nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

from stages import entry, provenance
from vision import params
from vision.evaluation import results
from vision.reporting import gallery, page, summary, tables

REPORTS = Path("reports")


def main() -> str:
    study = results.load(params.load())
    _write_json(REPORTS / "metrics.json", tables.metrics(study))
    _write_json(REPORTS / "costs.json", tables.costs(study))
    tables.comparison(study).to_csv(REPORTS / "comparison.csv", index=False, float_format="%.6g")

    plots = _emptied(REPORTS / "plots")
    tables.curves(study).to_csv(plots / "curves.csv", index=False)
    predictions = "confusion" if study.score is results.ACCURACY else "predictions"
    if study.score is results.ACCURACY:
        tables.few_labels(study).to_csv(plots / "few_labels.csv", index=False)
        tables.calibration(study).to_csv(plots / "calibration.csv", index=False)
    tables.predictions(study).to_csv(plots / f"{predictions}.csv", index=False)

    origin = provenance.gather(study.params)
    figures = gallery.draw(study)
    folder = _emptied(REPORTS / "figures")
    for name, figure in figures.items():
        (folder / f"{name}.svg").write_text(figure.svg, encoding="utf-8")
    (REPORTS / "index.html").write_text(page.render(study, figures, origin), encoding="utf-8")
    (REPORTS / "summary.md").write_text(summary.render(study, origin), encoding="utf-8")
    return (
        f"{REPORTS / 'index.html'}: {len(study.results)} runs, winner on validation: {study.winner}"
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _emptied(folder: Path) -> Path:
    """The folder, without what an earlier study left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    entry.run(main)
