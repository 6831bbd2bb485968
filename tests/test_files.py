"""Folders that are complete or not there at all."""

from pathlib import Path

import pytest

from vision.files import replacing


def fill(folder: Path, text: str) -> None:
    with replacing(folder) as fresh:
        (fresh / "file").write_text(text)


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    fill(folder, "old")

    def failing() -> None:
        with replacing(folder) as fresh:
            (fresh / "file").write_text("half")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        failing()
    assert (folder / "file").read_text() == "old"
    fill(folder, "new")
    assert (folder / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("replaced", [True, False])
def test_what_a_killed_run_left_is_in_nobodys_way(tmp_path: Path, replaced: bool) -> None:
    """It may have been killed before or after its folder took the old one's place."""
    folder, old = tmp_path / "data", tmp_path / ".data-old"
    for place in (folder, old) if replaced else (old,):
        place.mkdir()
        (place / "file").write_text("left")
    fill(folder, "new")
    assert (folder / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
