"""Further test sets of people's own: the images of `data.extra_tests`."""

from collections.abc import Iterator

from vision.errors import UserError
from vision.params import Data
from vision.sources import folder, utkface
from vision.sources.archive import find, read, scan
from vision.sources.record import Record


def records(data: Data, name: str) -> Iterator[Record]:
    """Stream the images of the test set of this name, by the study's own rule for labels where
    file names are what it goes by, else by the rule for people's own images.

    Of a set that has splits, only the test split.

    Raises:
        UserError: the images cannot be had, or their layout is faulty.
    """
    path = find(data.extra_tests[name], f"data.extra_tests.{name}")
    rule = utkface.find_ages if data.source == "utkface" else folder.find_test_labels
    labels = rule(data, scan(path))
    chosen = {key: label for key, label in labels.items() if label.split in (None, "test")}
    if not chosen:
        raise UserError(
            f"{path} has splits, but none that is named test: name one so, or have none"
        )
    return read(path, chosen)
