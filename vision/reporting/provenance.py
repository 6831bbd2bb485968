"""Where a page comes from, and how to make it again."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Provenance:
    """What the page was made from, as of the moment when it was made."""

    versions: dict[str, str]
    """Of Python and of the libraries, by name."""
    revision: str | None = None
    """Git's, in full; None outside a repository."""
    changed: bool = False
    """Whether the code differs from that revision."""
    params: Literal["committed", "study", "edited"] = "edited"
    """Whether params.yaml is that of the revision, that of a ready-made study there, or neither."""
    study_file: str = ""
    """The ready-made study's file, such as studies/digits.yaml."""
    digest: str | None = None
    """Of the md5 that dvc.lock has of the data, the models and the predictions, but not of what was
    measured in seconds: equal where all of these are, byte for byte."""

    @property
    def steps(self) -> str:
        """The commands that repeat it all, on one line."""
        commands = ["dvc repro"]
        if self.params == "study":
            commands.insert(0, f"cp {self.study_file} params.yaml")
        if self.revision:
            commands.insert(0, f"git checkout {self.revision[:12]}")
        return " && ".join(commands)
