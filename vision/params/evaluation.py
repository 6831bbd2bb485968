"""`evaluation` and `select`: what is measured, and which measure names the winner."""

from typing import Annotated, Literal, get_args

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from vision.params.section import Section

Corruption = Literal["gaussian_noise", "gaussian_blur", "contrast", "brightness", "jpeg"]
Strength = Annotated[int, Field(ge=1, le=5)]


class Corruptions(Section):
    """Test images made worse, on which every run at the largest labels setting is scored again."""

    images: PositiveInt = 500
    """Of the test split; the same ones for every run."""
    kinds: Annotated[list[Corruption], Field(min_length=1)] = list(get_args(Corruption))
    strengths: Annotated[list[Strength], Field(min_length=1)] = list(range(1, 6))


class Evaluation(Section):
    views: Literal["plain", "flip", "flip_shift"] = "plain"
    """What predictions are the mean over: the image; the image and its mirror image; and
    each of these moved by one pixel along a diagonal too, either way, at half the weight (arXiv
    2404.00498)."""
    tolerance: PositiveFloat | None = None
    """Of a number to predict: the error up to which a prediction counts as right, in the target's
    unit. The share of these is the cumulative score, for ages by custom at 5."""
    corruptions: Corruptions | None = None
    """{images: 500} for every kind and strength: 25 times 500 predictions a run."""


LOWER_IS_BETTER = {"loss", "mae", "rmse"}
MEASURED = {
    "classification": ("accuracy", "loss", "precision", "recall", "f1"),
    "regression": ("mae", "rmse", "r2"),
}
"""What evaluate computes on validation, by task."""


class Select(Section):
    """How the winner is chosen: by a measure on validation, mean over the seeds."""

    metric: Literal["accuracy", "loss", "precision", "recall", "f1", "mae", "rmse", "r2"]
    higher_is_better: bool | None = None
    """Follows from the metric; given, it must agree."""

    @property
    def higher(self) -> bool:
        return self.metric not in LOWER_IS_BETTER

    @model_validator(mode="after")
    def _agrees(self) -> "Select":
        if self.higher_is_better not in (None, self.higher):
            better = "higher" if self.higher else "lower"
            raise ValueError(
                f"{better} is better for {self.metric}: leave higher_is_better out, "
                f"or set it to {str(self.higher).lower()}"
            )
        return self
