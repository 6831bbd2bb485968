"""How a stage ends."""

from pathlib import Path

import pytest

from stages import entry


def test_a_fault_of_the_file_system_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        entry.run(tmp_path.read_text)
    assert ended.value.code == f"error: {tmp_path}: Is a directory"


def test_a_full_disk_is_one_line() -> None:
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("only Linux has a device that is always full")
    with pytest.raises(SystemExit) as ended:
        entry.run(lambda: str(device.write_text("x")))
    assert ended.value.code == "error: No space left on device"


def test_an_array_half_written_is_one_line() -> None:
    """NumPy's own words have no errno."""

    def main() -> str:
        raise OSError("1000 requested and 512 written")

    with pytest.raises(SystemExit) as ended:
        entry.run(main)
    assert ended.value.code == ("error: No space left on device (1000 requested and 512 written)")


def test_a_fault_without_a_file_is_not_hidden() -> None:
    def main() -> str:
        raise OSError("no such host")

    with pytest.raises(OSError, match="no such host"):
        entry.run(main)
