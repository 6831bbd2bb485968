"""Every source, from its own files to records, and what it says of faulty ones."""

import dataclasses
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stages import fetch as fetch_stage
from tests.images import (
    PARAMS,
    class_files,
    data,
    encoded,
    idx,
    pixels,
    sha256,
    split_files,
    write_folder,
    write_tar,
    write_zip,
)
from vision.errors import UserError
from vision.params import Data
from vision.sources import SOURCES, cifar, mnist
from vision.sources.record import Record


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


def fetched(data: Data, raw: Path) -> list[Record]:
    """The records of a source, by name, by way of its fetched files."""
    source = SOURCES[data.source]
    source.fetch(data, raw)
    return sorted(source.records(data, raw), key=lambda record: record.name)


def refused(data: Data, raw: Path) -> str:
    with pytest.raises(UserError) as caught:
        fetched(data, raw)
    return str(caught.value)


def test_importing_the_sources_is_light() -> None:
    code = "import sys, vision.sources; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"torch", "sklearn", "requests", "PIL", "tqdm"} & set(loaded.stdout.split())


def test_digits(raw: Path) -> None:
    records = fetched(data("digits"), raw)
    assert len(records) == 1797
    assert {record.target for record in records} == set("0123456789")
    assert {record.split for record in records} == {None}
    images = [np.asarray(record.image) for record in records]
    assert images[0].shape == (8, 8)
    assert max(image.max() for image in images) == 255


def cifar_archive(path: Path, version: cifar.Version, per_batch: int = 3) -> dict[str, np.ndarray]:
    """An archive in the official layout, of which the labels are 0, 1, 2, …; its rows by batch."""
    width = version.label_bytes + 3072
    rows = {}
    for seed, batch in enumerate((*version.train, version.test)):
        rows[batch] = pixels(seed, per_batch, width)
        rows[batch][:, version.label_bytes - 1] = np.arange(per_batch)
    names = "\n".join(f"class{number}" for number in range(version.classes)) + "\n\n"
    files = {f"{version.folder}/{name}": batch.tobytes() for name, batch in rows.items()}
    write_tar(path, {**files, f"{version.folder}/{version.names}": names.encode()})
    return rows


@pytest.mark.parametrize("source", ["cifar10", "cifar100"])
def test_cifar(source: str, tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = cifar.VERSIONS[source]
    archive = tmp_path / version.remote.name
    rows = cifar_archive(archive, version)
    remote = dataclasses.replace(version.remote, sha256=sha256(archive.read_bytes()))
    monkeypatch.setitem(cifar.VERSIONS, source, dataclasses.replace(version, remote=remote))
    records = fetched(data(source, tmp_path), raw)
    assert [record.split for record in records].count("test") == 3
    assert [record.split for record in records].count("train") == 3 * len(version.train)
    first = next(record for record in records if record.name == f"{version.test}/00001")
    assert first.target == "class1"
    # row-major by channel: the second pixel of the second row, in green
    assert (
        np.asarray(first.image)[1, 1, 1]
        == rows[version.test][1, version.label_bytes + 1024 + 32 + 1]
    )


@pytest.mark.parametrize("source", ["mnist", "fashion_mnist"])
def test_mnist(source: str, tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = pixels(1, 5, 28, 28), np.arange(5, dtype=np.uint8)
    version = mnist.VERSIONS[source]
    remotes = []
    for remote in version.remotes:
        content = idx(images if "images" in remote.name else labels)
        (tmp_path / remote.name).write_bytes(content)
        remotes.append(dataclasses.replace(remote, sha256=sha256(content)))
    monkeypatch.setitem(mnist.VERSIONS, source, dataclasses.replace(version, remotes=remotes))
    records = fetched(data(source, tmp_path), raw)
    assert [record.split for record in records] == ["test"] * 5 + ["train"] * 5
    assert [record.target for record in records[:5]] == list(version.classes[:5])
    np.testing.assert_array_equal(records[7].image, images[2])


def test_a_wrong_copy_of_an_official_file_is_refused(tmp_path: Path, raw: Path) -> None:
    copy = tmp_path / "cifar-10-binary.tar.gz"
    copy.write_bytes(b"something else")
    for path in (copy, tmp_path):
        message = refused(data("cifar10", path), raw)
        assert str(copy) in message
        assert "sha256" in message
        assert "delete it" in message


LAYOUTS = {
    "folder": lambda top, files: write_folder(top / "own", files),
    "tar": lambda top, files: write_tar(top / "own.tar", files),
    "tar.gz": lambda top, files: write_tar(top / "own.tar.gz", files),
    "tar.xz": lambda top, files: write_tar(top / "own.tar.xz", files),
    "zip": lambda top, files: write_zip(top / "own.zip", files),
    "lone archive": lambda top, files: (
        write_zip(write_folder(top / "own", {".gitignore": b"*"}) / "own.zip", files).parent
    ),
}


@pytest.mark.parametrize("wrapper", ["", "mine/"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_folder_takes_any_container(layout: str, wrapper: str, tmp_path: Path, raw: Path) -> None:
    files = class_files()
    clutter = {"README.md": b"about", "cat/.DS_Store": b"", "cat/notes.txt": b"", ".x/1.png": b""}
    everything = {wrapper + name: content for name, content in {**files, **clutter}.items()}
    records = fetched(data(path=LAYOUTS[layout](tmp_path, everything)), raw)
    assert {record.name: record.image for record in records} == files
    assert {record.target for record in records} == {"cat", "dog"}
    assert {record.split for record in records} == {None}
    assert len(list(raw.iterdir())) == 1


def test_folder_with_splits(tmp_path: Path, raw: Path) -> None:
    files = {**split_files(), **class_files(prefix="valid/", each=2, seed=700)}
    records = fetched(data(path=write_folder(tmp_path / "own", files)), raw)
    splits = [record.split for record in records]
    assert (splits.count("train"), splits.count("val"), splits.count("test")) == (20, 4, 8)
    assert all(record.target == record.name.split("/")[1] for record in records)


@pytest.mark.parametrize(
    ("train", "test"), [("Train", "Test"), ("TRAIN", "VAL"), ("Training", "testing")]
)
@pytest.mark.parametrize("wrapper", ["", "mine/"])
def test_names_of_splits_in_any_spelling(
    wrapper: str, train: str, test: str, tmp_path: Path, raw: Path
) -> None:
    files = {
        **class_files(prefix=f"{wrapper}{train}/", each=3),
        **class_files(prefix=f"{wrapper}{test}/", each=2, seed=500),
    }
    records = fetched(data(path=write_folder(tmp_path / "own", files)), raw)
    held_out = "val" if test == "VAL" else "test"
    assert {record.name.split("/")[0]: record.split for record in records} == {
        train: "train",
        test: held_out,
    }
    assert {record.target for record in records} == {"cat", "dog"}


def test_links_in_a_folder(tmp_path: Path, raw: Path) -> None:
    files = class_files(each=2)
    elsewhere = write_folder(tmp_path / "elsewhere", files)
    top = write_folder(tmp_path / "own", {"cat/0.png": files["cat/0.png"], "dog/.keep": b""})
    (top / "dog" / "0.png").symlink_to(elsewhere / "dog" / "0.png")
    (top / ".cache").symlink_to(elsewhere)
    (tmp_path / "link").symlink_to(top)
    records = fetched(data(path=tmp_path / "link"), raw)
    assert [record.name for record in records] == ["cat/0.png", "dog/0.png"]


@pytest.mark.parametrize("target", ["elsewhere", "own"])
def test_a_linked_folder_is_refused(target: str, tmp_path: Path, raw: Path) -> None:
    write_folder(tmp_path / "elsewhere", class_files(each=2))
    top = write_folder(tmp_path / "own", class_files(each=2))
    (top / "cat" / "more").symlink_to(tmp_path / target)
    message = refused(data(path=top), raw)
    assert str(top / "cat" / "more") in message
    assert "a link to a folder, which DVC does not follow: copy" in message


def test_a_packed_folder_is_the_same_bytes_at_any_time(tmp_path: Path) -> None:
    files = class_files()
    contents = []
    for number, order in enumerate((list(files), list(reversed(files)))):
        top = write_folder(tmp_path / f"{number}", {name: files[name] for name in order})
        out = tmp_path / f"raw{number}"
        out.mkdir()
        SOURCES["folder"].fetch(data(path=top), out)
        contents.append((out / "images.tar").read_bytes())
    assert contents[0] == contents[1]


def test_labels_csv_with_classes_and_splits(tmp_path: Path, raw: Path) -> None:
    files = {f"pictures/{n}.png": encoded(pixels(n)) for n in range(4)}
    table = "file,target,split\n" + "".join(
        f"./pictures/{n}.png,{'even' if n % 2 == 0 else 'odd'},{split}\n"
        for n, split in enumerate(("train", "train", "validation", "test"))
    )
    files["labels.csv"] = b"\xef\xbb\xbf" + table.encode()
    records = fetched(data(path=write_zip(tmp_path / "own.zip", files)), raw)
    assert [record.target for record in records] == ["even", "odd", "even", "odd"]
    assert [record.split for record in records] == ["train", "train", "val", "test"]


@pytest.mark.parametrize("wrapper", ["", "mine/"])
def test_labels_csv_with_numbers(wrapper: str, tmp_path: Path, raw: Path) -> None:
    files = {f"{wrapper}{n}.png": encoded(pixels(n)) for n in range(3)}
    files[f"{wrapper}labels.csv"] = b"file,target\n0.png,1.5\n1.png,-2\n2.png,3e2\n"
    records = fetched(data(path=write_folder(tmp_path / "own", files), task="regression"), raw)
    assert [record.target for record in records] == [1.5, -2.0, 300.0]


def test_labels_csv_with_empty_rows(tmp_path: Path, raw: Path) -> None:
    files = {f"{n}.png": encoded(pixels(n)) for n in range(2)}
    files["labels.csv"] = b"file,target\n,\n0.png,a\n\n ,,\n1.png,b\n,\n"
    records = fetched(data(path=write_folder(tmp_path / "own", files)), raw)
    assert [record.target for record in records] == ["a", "b"]


@pytest.mark.parametrize("wrapper", ["", "mine/"])
def test_labels_csv_spells_a_path_in_another_way(wrapper: str, tmp_path: Path, raw: Path) -> None:
    files = {
        f"{wrapper}{name}": encoded(pixels(n))
        for n, name in enumerate(("a/plain.png", "a/Caf\u00e9.png", "b/Cafe\u0301.png"))
    }
    table = "file,target\na\\plain.png,x\na/Cafe\u0301.png,y\n.\\b\\Caf\u00e9.png,z\n"
    files[f"{wrapper}labels.csv"] = table.encode()
    records = fetched(data(path=write_folder(tmp_path / "own", files)), raw)
    assert {wrapper + record.name: record.target for record in records} == dict(
        zip([name for name in files if name.endswith(".png")], "xyz", strict=True)
    )


FAULTY_TABLES = {
    "no column": ("classification", "name,target\na.png,x\n", "'file'"),
    "no target": ("classification", "file;target\na.png;x\n", "'file'"),
    "empty": ("classification", "", "an empty line"),
    "no lines": ("classification", "file,target\n", "no lines"),
    "lost file": ("classification", "file,target\na.png,x\nlost.png,y\n", "line 3"),
    "twice": ("classification", "file,target\na.png,x\na.png,y\n", "listed before"),
    "blank": ("classification", "file,target\na.png,\n", "empty"),
    "short row": ("classification", "target,file\nx\n", "there is no file"),
    "word": ("regression", "file,target\na.png,tall\n", "'tall' is not a number"),
    "nan": ("regression", "file,target\na.png,nan\n", "not a number"),
    "too large": ("regression", "file,target\na.png,-1e39\n", "'-1e39' is not a number"),
    "split": ("classification", "file,target,split\na.png,x,exam\n", "'exam'"),
    "open quote": ("classification", 'file,target\n\na.png,x\nb.png,"y\nc.png,z\n', "line 4: "),
    "open quote first": ("classification", '"file,target\na.png,x\n', "line 1: "),
    "column twice": ("classification", "file,target,target\na.png,x,y\n", "'target' twice"),
    "loose comma": ("classification", "file,target\na.png,x, y\n", "' y' has no column"),
    "loose quote": ("classification", 'file,target\na.png,"x" y\n', "line 2: "),
    "no train": ("classification", "file,target,split\na.png,x,test\n", "no image into train"),
    "one class": ("classification", "file,target\na.png,x\nb.png,x\n", "one class only, x"),
}


@pytest.mark.parametrize("fault", FAULTY_TABLES)
def test_faulty_labels_csv(fault: str, tmp_path: Path, raw: Path) -> None:
    task, table, says = FAULTY_TABLES[fault]
    files = {name: encoded(pixels(1)) for name in ("a.png", "b.png")}
    top = write_folder(tmp_path / "own", {**files, "labels.csv": table.encode()})
    message = refused(data(path=top, task=task), raw)
    assert says in message
    assert str(top) in message


IMAGE = encoded(pixels(1))
FAULTY_LAYOUTS = {
    "nothing": ({".gitignore": b"*"}, "holds no images: put them there as CLASS/IMAGE"),
    "no images": ({"cat/a.txt": b""}, "holds no images"),
    "one class": ({"cat/a.png": IMAGE}, "one class only, cat"),
    "loose": ({"cat/a.png": IMAGE, "b.png": IMAGE}, "b.png is in no class folder"),
    "loose in split": ({"train/a.png": IMAGE}, "train/a.png is in no class folder"),
    "empty class": (
        {"cat/a.png": IMAGE, "dog/a.png": IMAGE, "eel/.keep": b""},
        "the class folder eel has no images",
    ),
    "empty class in split": (
        {"train/cat/a.png": IMAGE, "train/dog/a.png": IMAGE, "test/cat/readme.txt": b""},
        "the class folder test/cat has no images",
    ),
    "no train": ({"test/cat/a.png": IMAGE, "val/cat/a.png": IMAGE}, "test, val but no train"),
    "no train, in capitals": ({"TEST/cat/a.png": IMAGE}, "has TEST but no train folder"),
    "mixed": ({"train/cat/a.png": IMAGE, "dog/a.png": IMAGE}, "split folder train beside dog"),
}


@pytest.mark.parametrize("fault", FAULTY_LAYOUTS)
def test_faulty_folder(fault: str, tmp_path: Path, raw: Path) -> None:
    files, says = FAULTY_LAYOUTS[fault]
    top = write_folder(tmp_path / "own", files)
    message = refused(data(path=top), raw)
    assert says in message
    assert str(top) in message
    assert not list(raw.iterdir())


def test_faulty_paths(tmp_path: Path, raw: Path) -> None:
    assert "does not exist" in refused(data(path=tmp_path / "none"), raw)
    text = tmp_path / "images.rar"
    text.write_text("x")
    assert "neither a folder nor an archive" in refused(data(path=text), raw)
    folder = write_folder(tmp_path / "own", class_files())
    assert "needs a labels.csv" in refused(data(path=folder, task="regression"), raw)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz", "zip"])
def test_a_damaged_archive_is_refused(suffix: str, tmp_path: Path, raw: Path) -> None:
    path = tmp_path / f"own.{suffix}"
    (write_zip if suffix == "zip" else write_tar)(path, class_files())
    path.write_bytes(path.read_bytes()[:1300])
    message = refused(data(path=path), raw)
    assert str(path) in message
    assert "complete copy" in message


@pytest.mark.parametrize("name", ["../cat/a.png", "/cat/a.png", "cat/../../a.png"])
@pytest.mark.parametrize("suffix", ["tar", "zip"])
def test_a_member_outside_is_refused(suffix: str, name: str, tmp_path: Path, raw: Path) -> None:
    path = tmp_path / f"own.{suffix}"
    (write_zip if suffix == "zip" else write_tar)(path, {**class_files(), name: IMAGE})
    message = refused(data(path=path), raw)
    assert name in message
    assert "outside" in message


def add_special(path: Path, name: str, kind: bytes) -> None:
    """Add a member that is no regular file to a tar."""
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)


def test_devices_and_what_is_no_image_are_ignored(tmp_path: Path, raw: Path) -> None:
    path = write_tar(tmp_path / "own.tar", class_files(each=2))
    for name, kind in (
        ("cat/notes.txt", tarfile.SYMTYPE),
        ("cat/._0.png", tarfile.SYMTYPE),
        ("cat/pipe.png", tarfile.FIFOTYPE),
        ("cat/device.png", tarfile.CHRTYPE),
    ):
        add_special(path, name, kind)
    assert len(fetched(data(path=path), raw)) == 4


def test_a_table_that_is_a_link_in_a_tar_is_refused(tmp_path: Path, raw: Path) -> None:
    """It was passed over, and the folders' names taken for the labels."""
    path = write_tar(tmp_path / "own.tar", class_files(each=2))
    add_special(path, "labels.csv", tarfile.SYMTYPE)
    assert f"{path} holds labels.csv as a link" in refused(data(path=path), raw)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_an_image_that_is_a_link_in_a_tar_is_refused(
    kind: bytes, tmp_path: Path, raw: Path
) -> None:
    path = write_tar(tmp_path / "own.tar", class_files(each=2))
    add_special(path, "./cat/link.PNG", kind)
    message = refused(data(path=path), raw)
    assert f"{path} holds cat/link.PNG as a link" in message
    assert "tar --hard-dereference -h" in message


def test_an_image_that_is_a_link_in_a_zip_is_refused(tmp_path: Path, raw: Path) -> None:
    path = write_zip(tmp_path / "own.zip", class_files(each=2))
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("cat/link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    message = refused(data(path=path), raw)
    assert "cat/link.png as a link" in message
    assert "zip without -y" in message


@pytest.mark.parametrize("layout", ["folder", "tar", "tar.gz", "zip"])
def test_a_file_too_large_for_an_image_is_not_read(
    layout: str, tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vision.sources.archive.LARGEST", 1_000_000)
    large = {name: bytes(1_000_001) for name in ("cat/film.mp4", "dog/x.tif")}
    message = refused(data(path=LAYOUTS[layout](tmp_path, {**class_files(), **large})), raw)
    assert "dog/x.tif has 1,000,001 bytes, more than the 1,000,000 of a" in message


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.xz"])
def test_a_damaged_end_is_noticed(suffix: str, tmp_path: Path, raw: Path) -> None:
    path = write_tar(tmp_path / f"own.{suffix}", class_files())
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    assert "complete copy" in refused(data(path=path), raw)


def test_a_damaged_name_in_a_zip_is_refused(tmp_path: Path, raw: Path) -> None:
    path = write_zip(tmp_path / "own.zip", {**class_files(), "cat/\u00e9.png": IMAGE})
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xe9\xe9"))
    message = refused(data(path=path), raw)
    assert str(path) in message
    assert "complete copy" in message


@pytest.mark.parametrize("layout", ["folder", "tar"])
def test_a_name_that_is_not_utf8_is_refused(layout: str, tmp_path: Path, raw: Path) -> None:
    name = os.fsdecode(b"cat/caf\xe9.png")
    path = LAYOUTS[layout](tmp_path, {**class_files(each=2), name: IMAGE})
    message = refused(data(path=path), raw)
    assert "'cat/caf\\udce9.png', which is not UTF-8: rename it" in message
    assert str(path) in message
    assert message.encode()


@pytest.mark.parametrize("name", ["cat/0.png", "cat", "labels.csv"])
def test_what_may_not_be_read_is_named(name: str, tmp_path: Path, raw: Path) -> None:
    table = {"labels.csv": b"file,target\ncat/0.png,a\ndog/0.png,b\n"}
    top = write_folder(tmp_path / "own", {**class_files(each=1), **table})
    (top / name).chmod(0)
    if os.access(top / name, os.R_OK):
        pytest.skip("root may read everything")
    try:
        assert f"{top / name} may not be read: chmod -R u+rX {top}" in refused(data(path=top), raw)
    finally:
        (top / name).chmod(0o700)


def test_a_name_twice_is_refused(tmp_path: Path, raw: Path) -> None:
    path = write_tar(tmp_path / "own.tar", class_files(each=2))
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("cat/1.png")
        info.size = len(IMAGE)
        tar.addfile(info, io.BytesIO(IMAGE))
    assert "cat/1.png twice" in refused(data(path=path), raw)


FACES = {
    "part1/1_0_2_20161219140530307.jpg.chip.jpg": 1,
    "part1/24_0_1_20170116220224657 .jpg": 24,
    "part1/55_0_0_20170116232725357jpg": 55,
    "part2/61_1_20170109142408075.jpg.chip.jpg": 61,
    "part2/44_1_4_20170116235150272.pg": 44,
    "part2/17_1_4_20170116235150272.JPG ": 17,
    "part3/116_1_4_20170116235150272.png": 116,
}


def test_utkface(tmp_path: Path, raw: Path) -> None:
    files = {f"UTKFace/{name}": encoded(pixels(age), "JPEG") for name, age in FACES.items()}
    archive = write_tar(tmp_path / "UTKFace.tar.gz", {**files, "UTKFace/notes.txt": b"x"})
    records = fetched(data("utkface", archive, task="regression"), raw)
    assert {record.name.removeprefix("UTKFace/"): record.target for record in records} == FACES
    groups = data("utkface", archive, age_groups=[18, 40])
    ages = {record.target for record in SOURCES["utkface"].records(groups, raw)}
    assert ages == {"0-17", "18-39", "40+"}


def test_utkface_without_faces(tmp_path: Path, raw: Path) -> None:
    top = write_folder(tmp_path / "own", class_files())
    assert "AGE_GENDER_RACE_DATE" in refused(data("utkface", top, task="regression"), raw)


def test_the_stage_replaces_its_folder_or_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tar(tmp_path / "own.tar.xz", class_files())
    Path("params.yaml").write_text(PARAMS.format(path="own.tar.xz"))
    assert fetch_stage.main() == "data/raw: own.tar.xz, 20 images, 2 classes, 0.0 MB"
    source = json.loads(Path("data/raw/source.json").read_text())
    assert source["from"] == "own.tar.xz"
    assert source["files"] == {"own.tar.xz": sha256(Path("own.tar.xz").read_bytes())}
    assert (source["images"], source["classes"]) == (20, 2)
    assert "left_out" not in source
    Path("params.yaml").write_text(PARAMS.format(path="lost.zip"))
    with pytest.raises(UserError, match=r"lost\.zip does not exist"):
        fetch_stage.main()
    assert [path.name for path in Path("data").iterdir()] == ["raw"]
    assert json.loads(Path("data/raw/source.json").read_text()) == source
    Path("params.yaml").write_text(PARAMS.format(path="own.tar.xz"))
    fetch_stage.main()
    assert [path.name for path in Path("data").iterdir()] == ["raw"]


def test_files_that_are_passed_over_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a phone's pictures, nobody noticed that half were missing."""
    monkeypatch.chdir(tmp_path)
    others = {"cat/1.HEIC": b"x", "dog/2.heic": b"x", "dog/png": b"x", "cat/.DS_Store": b""}
    write_folder(tmp_path / "own", {**class_files(), **others})
    Path("params.yaml").write_text(PARAMS.format(path="own"))
    assert fetch_stage.main().endswith(
        "left out, as no images of the study: 2 .heic, 1 without an ending"
    )
    assert json.loads(Path("data/raw/source.json").read_text())["left_out"] == {
        ".heic": 2,
        "without an ending": 1,
    }
