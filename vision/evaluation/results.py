"""All that a study's runs have left behind, as tables; which model wins, and by how much.

Only the runs that params.yaml names are read: folders of runs that were dropped from it stay in
the workspace and must change nothing.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from vision.errors import UserError
from vision.evaluation import mistakes
from vision.evaluation.mistakes import Mistakes
from vision.params import Params, Run
from vision.prepared import SPLITS, Prepared, Split

Kind = Literal["scratch", "transfer"]


@dataclass(frozen=True)
class Score:
    """The number by which models are chosen and compared."""

    key: str
    higher_is_better: bool

    def best_first(self, values: pd.Series) -> pd.Series:
        """The values, turned so that smaller is better."""
        return -values if self.higher_is_better else values


ACCURACY = Score("accuracy", higher_is_better=True)
MAE = Score("mae", higher_is_better=False)


@dataclass(frozen=True)
class Result:
    """What one run has left behind."""

    run: Run
    metrics: dict[str, Any]
    """By split, as in vision.evaluation.metrics."""
    cost: dict[str, Any]
    model: dict[str, Any]
    history: pd.DataFrame
    """One row an epoch: phase, epoch, lr, train_loss, train_score, val_loss, val_score."""


@dataclass(frozen=True)
class Difference:
    """How much better one model is than another on the test images, in the score's own unit."""

    value: float
    """Positive where the first is better."""
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the 95 % interval leaves zero out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Study:
    """The results of every run in params.yaml."""

    params: Params
    prepared: Prepared
    evaluation: Path
    """The folder of saved predictions."""
    results: list[Result]

    @property
    def score(self) -> Score:
        return ACCURACY if self.prepared.manifest.task == "classification" else MAE

    @property
    def labels(self) -> list[str]:
        """The labels settings, the largest first."""
        return [str(x) for x in self.params.settings]

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Whether each model was trained from scratch or transferred, in the order of params."""
        scratch: dict[str, Kind] = dict.fromkeys(self.params.scratch, "scratch")
        return scratch | dict.fromkeys(self.params.transfer, "transfer")

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run: model, kind, labels, seed, SPLIT_METRIC, gap, parameters and costs."""
        return pd.DataFrame([self._row(result) for result in self.results])

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean over seeds of every number of `runs`, by (model, labels), in the order of params.

        NUMBER_std is the standard deviation over seeds (ddof 1), missing for a single seed.
        """
        groups = self.runs.groupby(["model", "labels"], sort=False)
        numbers = groups.mean(numeric_only=True).drop(columns="seed")
        spread = groups.std(numeric_only=True).drop(columns="seed").add_suffix("_std")
        return pd.concat(
            [groups["kind"].first(), groups.size().rename("seeds"), numbers, spread], axis=1
        )

    def row(self, model: str, labels: str) -> dict[str, Any]:
        """One row of `summary`."""
        index = self.summary.index.get_loc((model, labels))
        return {str(key): value for key, value in self.summary.iloc[index].items()}

    def ranking(self, labels: str) -> list[str]:
        """The models at this setting, best mean validation score first; ties by validation loss.

        The test split has no say in it.
        """
        rows = self.summary.xs(labels, level="labels")
        tie = "val_loss" if "val_loss" in rows else "val_rmse"
        keys = pd.DataFrame(
            {"score": self.score.best_first(rows[f"val_{self.score.key}"]), "tie": rows[tie]}
        )
        return list(keys.sort_values(["score", "tie"], kind="stable").index)

    def best(self, labels: str, kind: Kind) -> str:
        """The best model of a kind on validation. The study must have one."""
        return next(name for name in self.ranking(labels) if self.kinds[name] == kind)

    @property
    def winner(self) -> str:
        """The best model on validation at the largest labels setting."""
        return self.ranking(self.labels[0])[0]

    @property
    def rival(self) -> str | None:
        """Whom the winner is compared with: the best of the other kind, or else the second."""
        order = self.ranking(self.labels[0])
        others = [name for name in order if self.kinds[name] != self.kinds[order[0]]]
        return next(iter([*others, *order[1:]]), None)

    def of(self, model: str, labels: str) -> list[Result]:
        """A model's results at a setting, by seed."""
        return [x for x in self.results if x.run.model == model and str(x.run.labels) == labels]

    def predictions(self, run: Run, split: Split) -> NDArray[np.float32]:
        """Saved logits [N, K], or values [N, 1] in the target's unit."""
        path = run.under(self.evaluation) / f"{split}.npy"
        _require(path)
        found: NDArray[np.float32] = np.load(path)
        return found

    def mistakes(self, run: Run) -> Mistakes:
        """The test images that the run got most wrong."""
        _require(run.under(self.evaluation) / mistakes.FILE)
        return mistakes.load(run.under(self.evaluation))

    def outputs(self, model: str, split: Split) -> list[NDArray[np.float32]]:
        """A model's saved predictions at the largest labels setting, by seed."""
        return [self.predictions(x.run, split) for x in self.of(model, self.labels[0])]

    def extra(self, name: str) -> Prepared:
        """A further test set of the user's, packed."""
        found = Prepared(self.prepared.root.parent / "extra" / name)
        _require(found.root / "manifest.json")
        return found

    def extra_outputs(self, model: str, name: str) -> list[NDArray[np.float32]]:
        """As `outputs`, on a further test set."""
        paths = [
            x.run.under(self.evaluation) / f"extra-{name}.npy"
            for x in self.of(model, self.labels[0])
        ]
        for path in paths:
            _require(path)
        return [np.load(path) for path in paths]

    def robustness(self, run: Run) -> dict[str, Any]:
        """A run's scores on images made worse, as in vision.evaluation.corruptions."""
        return _read(run.under(self.evaluation) / "robustness.json")

    def difference(self, first: str, second: str, labels: str) -> Difference:
        """Compare two models on the same test images, with a 95 % interval.

        The variance of the difference is the sum of what the choice of test images adds (paired,
        on the mean over seeds) and what the seeds of either model add; the interval is Student's,
        with Welch and Satterthwaite's degrees of freedom. A single seed adds nothing, so the
        interval then speaks of the test images alone.
        """
        a, b = self._merits(first, labels), self._merits(second, labels)
        paired = a.mean(axis=0) - b.mean(axis=0)
        samples = [paired] + [x.mean(axis=1) for x in (a, b) if len(x) > 1]
        parts = np.array([x.var(ddof=1) / len(x) for x in samples])
        freedom = np.array([len(x) - 1 for x in samples])
        value, variance = float(paired.mean()), float(parts.sum())
        if variance == 0:
            return Difference(value, value, value)
        half = float(stdtrit(variance**2 / np.sum(parts**2 / freedom), 0.975)) * variance**0.5
        return Difference(value, value - half, value + half)

    def _merits(self, model: str, labels: str) -> NDArray[np.float64]:
        """What each test image adds to the score, more is better, [seeds, N]."""
        targets = self.prepared.targets("test")
        outputs = [self.predictions(result.run, "test") for result in self.of(model, labels)]
        if self.score is ACCURACY:
            return np.array([x.argmax(axis=1) == targets for x in outputs], dtype=np.float64)
        return np.array([-np.abs(x.ravel() - targets) for x in outputs], dtype=np.float64)

    def _row(self, result: Result) -> dict[str, Any]:
        run, metrics = result.run, result.metrics
        numbers = {
            f"{split}_{name}": value
            for split in SPLITS
            for name, value in metrics[split].items()
            if isinstance(value, int | float)
        }
        gap = metrics["train"][self.score.key] - metrics["test"][self.score.key]
        return {
            "model": run.model,
            "kind": self.kinds[run.model],
            "labels": str(run.labels),
            "seed": run.seed,
            **numbers,
            "gap": gap if self.score.higher_is_better else -gap,
            "parameters": result.model["parameters"],
            "trainable_parameters": result.model["trainable_parameters"],
            "epochs": len(result.history),
            "seconds": result.cost["seconds"],
            "inference_images_per_second": result.cost["inference_images_per_second"],
        }


def load(params: Params, root: Path = Path()) -> Study:
    """Read the results of every run in params, from the repository's folders below `root`.

    Raises:
        UserError: a file is missing.
    """
    evaluation = root / "reports" / "evaluation"
    prepared = Prepared(root / "data" / "prepared")
    _require(prepared.root / "manifest.json")
    results = []
    for run in params.runs:
        model = run.under(root / "models")
        _require(model / "history.csv")
        results.append(
            Result(
                run=run,
                metrics=_read(run.under(evaluation) / "metrics.json"),
                cost=_read(run.under(root / "reports" / "training") / "cost.json"),
                model=_read(model / "model.json"),
                history=pd.read_csv(model / "history.csv"),
            )
        )
    return Study(params, prepared, evaluation, results)


def _read(path: Path) -> dict[str, Any]:
    _require(path)
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _require(path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path} is missing: run `dvc repro`, which makes it")
