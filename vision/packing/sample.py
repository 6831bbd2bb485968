"""What packing keeps in memory of an image."""

from dataclasses import dataclass

from vision.prepared import Split


@dataclass(slots=True)
class Sample:
    """What is remembered of an image."""

    name: str
    split: Split | None
    target: str | float
    digest: bytes
    place: int
    """Its row in the scratch file."""
    original: tuple[int, int]
    """Width and height before it was packed, in pixels."""
