"""`data`: the images."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from vision.params.section import Section


class Data(Section):
    """Where the images come from and how they are packed."""

    source: Literal["digits", "cifar10", "cifar100", "mnist", "fashion_mnist", "folder", "utkface"]
    path: str
    """A copy of the source's files: a folder, an archive, or a downloaded file's folder."""
    task: Literal["classification", "regression"] = "classification"
    """Of each image a class, or a number."""
    unit: str = ""
    """Unit of a regression target, as the page shows it."""
    age_groups: list[PositiveInt] | None = None
    """utkface as classification: ascending edges; [18, 40] makes 0-17, 18-39, 40+."""
    image_size: PositiveInt | None = None
    """Side in pixels; null keeps the images' own size, which they must then share."""
    channels: Literal[1, 3] | None = None
    """1 grey, 3 RGB; null takes what the first image has."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training images held out where the source has no validation split: of each class
    alike, of numbers from each tenth of their order."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The same for a test split, taken out first: of all images that are not of a validation split
    which the source has."""
    split_seed: NonNegativeInt = 0
    """Another seed holds out other images."""
    bad_images: Literal["error", "skip"] = "error"
    """skip: files that cannot be read are left out, and the page names them."""
    deduplicate: bool = False
    """Take images out of training (and validation) that are byte for byte in a later split too."""
    extra_tests: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], str] = {}
    """Further test sets by name, each a folder or an archive in the layout of your own images (of
    one with splits, the test split): measured beside the first, with the drop."""

    @model_validator(mode="after")
    def _check(self) -> "Data":
        if self.age_groups is not None and sorted(set(self.age_groups)) != self.age_groups:
            raise ValueError("age_groups must rise, each edge once")
        grouped = self.source == "utkface" and self.task == "classification"
        if grouped and not self.age_groups:
            raise ValueError("utkface as classification needs age_groups, such as [18, 40, 60]")
        if self.age_groups is not None and not grouped:
            raise ValueError("age_groups belong to source: utkface with task: classification")
        if self.task == "regression" and self.source not in ("folder", "utkface"):
            raise ValueError(f"source: {self.source} has classes; use task: classification")
        return self
