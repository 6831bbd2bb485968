"""All that a study's runs have left behind, as tables; which model wins, and by how much.

Only the runs that params.yaml names are read: folders of runs that were dropped from it stay in
the workspace and must change nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vision.errors import UserError
from vision.evaluation import mistakes
from vision.evaluation.comparison import Comparison, Difference, Pair
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

    def merits(
        self, outputs: Sequence[NDArray[np.float32]], targets: NDArray[Any]
    ) -> NDArray[np.float64]:
        """What each image adds to the score, more is better, [seeds, N].

        Args:
            outputs: by seed, logits [N, K] or values [N, 1] each.
            targets: [N].
        """
        if self.higher_is_better:
            return np.array([x.argmax(axis=1) == targets for x in outputs], dtype=np.float64)
        return np.array([-np.abs(x.ravel() - targets) for x in outputs], dtype=np.float64)


ACCURACY = Score("accuracy", higher_is_better=True)
MAE = Score("mae", higher_is_better=False)


@dataclass(frozen=True)
class Result:
    """What one run has left behind."""

    run: Run
    metrics: dict[str, Any]
    """By split, as in vision.evaluation.metrics; and multiply_adds, of an image."""
    cost: dict[str, Any]
    model: dict[str, Any]
    history: pd.DataFrame
    """One row an epoch: phase, epoch, lr, train_loss, train_score, val_loss, val_score."""
    moments: pd.DataFrame
    """One row an epoch: epoch, and since the start images and seconds (missing in a run that was
    interrupted and continued)."""


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
    def choice(self) -> Score:
        """The validation measure that chooses among models: `select`, or else the score."""
        select = self.params.select
        return Score(select.metric, select.higher) if select else self.score

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
        """The models at this setting, best on validation first (mean over the seeds of the measure
        that chooses); ties by `tie_break`.

        The test split has no say in it.
        """
        return list(self._ranked(labels).index)

    @property
    def tie_break(self) -> str:
        """The validation measure, less is better, that chooses among equals."""
        return "loss" if self.score is ACCURACY else "rmse"

    @property
    def tied(self) -> bool:
        """Whether the winner's validation result is another model's too."""
        scores = self._ranked(self.labels[0])["score"]
        return bool((scores == scores.iloc[0]).sum() > 1)

    def _ranked(self, labels: str) -> pd.DataFrame:
        rows = self.summary.xs(labels, level="labels")
        scores = self.choice.best_first(rows[f"val_{self.choice.key}"])
        # the same numbers add up to means that differ in the last digit
        exact = scores.map("{:.12g}".format).astype(float)
        keys = pd.DataFrame({"score": exact, "tie": rows[f"val_{self.tie_break}"]})
        return keys.sort_values(["score", "tie"], kind="stable")

    def best(self, labels: str, kind: Kind) -> str:
        """The best model of a kind on validation. The study must have one."""
        return next(name for name in self.ranking(labels) if self.kinds[name] == kind)

    @property
    def winner(self) -> str:
        """The best model on validation at the largest labels setting."""
        return self.ranking(self.labels[0])[0]

    @property
    def rival(self) -> str | None:
        """Whom the winner is compared with."""
        planned = self.planned(self.labels[0])
        return planned[1] if planned else None

    def planned(self, labels: str) -> tuple[str, str] | None:
        """The pair that validation names before the test images are looked at: the best model, and
        the best of the other kind, or else the second."""
        first, *rest = self.ranking(labels)
        others = [name for name in rest if self.kinds[name] != self.kinds[first]]
        return next(((first, second) for second in [*others, *rest]), None)

    def original_sizes(self) -> pd.DataFrame:
        """Width and height of each image before it was packed, in pixels."""
        table = self.prepared.root / "samples.csv"
        _require(table)
        return pd.read_csv(table, usecols=["width", "height"])

    def of(self, model: str, labels: str) -> list[Result]:
        """A model's results at a setting, by seed."""
        return [x for x in self.results if x.run.model == model and str(x.run.labels) == labels]

    def devices(self, *models: str) -> set[str]:
        """What hardware these models were trained and timed on."""
        return {x.cost["device"] for x in self.results if x.run.model in models}

    def tuned_in_vain(self, result: Result) -> bool:
        """Whether no epoch of `finetune` was better on validation than the best of `head`, whose
        weights are then the model's."""
        best = {
            phase: min(zip(self.score.best_first(rows["val_score"]), rows["val_loss"], strict=True))
            for phase, rows in result.history.groupby("phase")
        }
        return {"head", "finetune"} <= best.keys() and best["head"] <= best["finetune"]

    def predictions(self, run: Run, split: Split) -> NDArray[np.float32]:
        """Saved logits [N, K], or values [N, 1] in the target's unit."""
        path = run.under(self.evaluation) / f"{split}.npy"
        _require(path)
        # mapped: all runs' logits may not fit into memory together
        found: NDArray[np.float32] = np.load(path, mmap_mode="r")
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

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        """By labels setting: its models on the test images."""
        return {labels: self.compare(list(self.kinds), labels, "test") for labels in self.labels}

    def compare(self, models: list[str], labels: str, split: Split) -> Comparison:
        """Models at a setting, on the images of a split."""
        merits = {name: self.merits(name, labels, split) for name in models}
        return Comparison(merits, answers=self.score is ACCURACY)

    def interval(self, model: str, labels: str) -> tuple[float, float]:
        """The 95 % interval of a model's test score, over seeds and test images together."""
        low, high = self.comparisons[labels].intervals[model]
        return (low, high) if self.score.higher_is_better else (-high, -low)

    def difference(self, first: str, second: str, labels: str) -> Difference:
        """Compare two models on the same test images, as a pair by itself."""
        return self.comparisons[labels].difference(first, second)

    def pairs(self, labels: str) -> list[Pair]:
        """Every two models on the same test images, corrected for being many but for the pair
        that validation named."""
        return self.comparisons[labels].pairs(self.ranking(labels), self.planned(labels))

    def merits(self, model: str, labels: str, split: Split) -> NDArray[np.float64]:
        """What each image of a split adds to the score, more is better, [seeds, N]."""
        targets = self.prepared.targets(split)
        outputs = [self.predictions(result.run, split) for result in self.of(model, labels)]
        return self.score.merits(outputs, targets)

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
            "multiply_adds": result.metrics["multiply_adds"],
            "seconds": result.cost["seconds"],
            "inference_images_per_second": result.cost["inference_images_per_second"],
            "peak_memory_bytes": result.cost["peak_memory_bytes"],
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
        model, training = run.under(root / "models"), run.under(root / "reports" / "training")
        for table in (model / "history.csv", training / "epochs.csv"):
            _require(table)
        results.append(
            Result(
                run=run,
                metrics=_read(run.under(evaluation) / "metrics.json"),
                cost=_read(training / "cost.json"),
                model=_read(model / "model.json"),
                history=pd.read_csv(model / "history.csv"),
                moments=pd.read_csv(training / "epochs.csv"),
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
