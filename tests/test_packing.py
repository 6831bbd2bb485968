"""Packing: decoding, order, split, duplicates, and what is written."""

import hashlib
import random
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages import fetch as fetch_stage
from stages import preprocess as preprocess_stage
from tests.images import (
    PARAMS,
    SHARED,
    Pixels,
    class_files,
    data,
    encoded,
    pixels,
    split_files,
    write_tar,
    write_zip,
)
from vision.errors import UserError
from vision.packing import pack
from vision.params import Data
from vision.prepared import SPLITS, Prepared
from vision.sources import SOURCES
from vision.sources.record import Record


def packed(root: Path, records: Iterable[Record], **values: Any) -> Prepared:
    root.mkdir(exist_ok=True)
    pack(records, data(**values), root)
    return Prepared(root)


def refused(root: Path, records: Iterable[Record], **values: Any) -> str:
    with pytest.raises(UserError) as caught:
        packed(root, records, **values)
    assert not list(root.iterdir())
    return str(caught.value)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def examples(counts: dict[str, int]) -> list[Record]:
    """Different images of each class, without a split."""
    return [
        Record(f"{name}/{number:03d}", None, name, pixels(1000 * place + number))
        for place, (name, count) in enumerate(counts.items())
        for number in range(count)
    ]


def single(content: bytes | Pixels, root: Path, **values: Any) -> Pixels:
    """What one image is packed to; [H, W, C]."""
    records = [Record(str(n), None, "ab"[n % 2], content) for n in range(6)]
    image: Pixels = packed(root, records, **values).images("train")[0]
    return image


def test_the_arrays_hold_the_images(tmp_path: Path) -> None:
    records = examples({"cat": 20, "dog": 30})
    prepared = packed(tmp_path / "out", reversed(records))
    table = pd.read_csv(tmp_path / "out" / "samples.csv")
    by_name = {record.name: record for record in records}
    assert sorted(table["name"]) == sorted(by_name)
    for split in SPLITS:
        images, targets = prepared.images(split), prepared.targets(split)
        rows = table[table["split"] == split]
        assert list(rows["index"]) == list(range(len(images)))
        assert list(rows["name"]) == sorted(rows["name"])
        assert list(rows["target"]) == [prepared.manifest.classes[k] for k in targets]
        for image, target, name in zip(images, targets, rows["name"], strict=True):
            np.testing.assert_array_equal(image, by_name[str(name)].image)
            assert prepared.manifest.classes[target] == by_name[str(name)].target
        assert images.dtype == np.uint8
        assert targets.dtype == np.int64


def test_the_manifest_agrees_with_the_arrays(tmp_path: Path) -> None:
    prepared = packed(tmp_path / "out", examples({"cat": 20, "dog": 30}))
    manifest = prepared.manifest
    train = prepared.images("train") / 255
    np.testing.assert_allclose(manifest.mean, train.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(manifest.std, train.std(axis=(0, 1, 2)), rtol=1e-12)
    assert (manifest.height, manifest.width, manifest.channels) == (6, 6, 3)
    assert manifest.counts == {"train": 36, "val": 4, "test": 10}
    assert manifest.class_counts == {"train": [14, 22], "val": [2, 2], "test": [4, 6]}
    assert manifest.duplicates_across == []
    assert (manifest.target_mean, manifest.target_std) == (None, None)


def test_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    files = split_files(each=40)
    shuffled = list(files)
    random.Random(0).shuffle(shuffled)
    made = []
    for number, order in enumerate((list(files), list(files), shuffled)):
        raw, out = tmp_path / f"raw{number}", tmp_path / f"out{number}"
        raw.mkdir()
        path = write_tar(tmp_path / f"{number}.tar.gz", {name: files[name] for name in order})
        own = data(path=path)
        SOURCES["folder"].fetch(own, raw)
        packed(out, SOURCES["folder"].records(own, raw), path=path)
        made.append(contents(out))
    assert made[0] == made[1] == made[2]


def test_classes_sort_naturally(tmp_path: Path) -> None:
    counts = dict.fromkeys(("10", "2", "b10", "b2", "a"), 6)
    prepared = packed(tmp_path / "out", examples(counts))
    assert prepared.manifest.classes == ["2", "10", "a", "b2", "b10"]


def test_the_split_depends_on_its_seed_and_hardly_on_new_images(tmp_path: Path) -> None:
    def test_names(name: str, count: int, **values: Any) -> set[str]:
        packed(tmp_path / name, examples({"cat": count, "dog": count}), **values)
        table = pd.read_csv(tmp_path / name / "samples.csv")
        return set(table.loc[table["split"] == "test", "name"])

    first = test_names("first", 100)
    assert first == test_names("again", 100)
    assert first != test_names("other", 100, split_seed=1)
    # one more image a class moves at most the image at the edge
    assert len(first - test_names("more", 101)) <= 2


def test_a_source_with_a_test_split_keeps_it(tmp_path: Path) -> None:
    records = [
        Record(f"{split}/{n:02d}", split, "ab"[n % 2], pixels(n + 100 * place))
        for place, split in enumerate(SPLITS)
        for n in range(40)
        if split != "val"
    ]
    manifest = packed(tmp_path / "out", records, validation=0.25).manifest
    assert manifest.counts == {"train": 30, "val": 10, "test": 40}
    assert manifest.class_counts["val"] == [5, 5]
    with_val = [*records, Record("v", "val", "a", pixels(999))]
    assert packed(tmp_path / "val", with_val).manifest.counts["val"] == 1


def test_a_rare_class_stays_in_train(tmp_path: Path) -> None:
    manifest = packed(tmp_path / "out", examples({"common": 20, "rare": 1, "two": 2})).manifest
    assert manifest.class_counts["train"] == [14, 1, 1]
    assert manifest.class_counts["test"] == [4, 0, 1]


def test_regression(tmp_path: Path) -> None:
    records = [Record(f"{n:03d}", None, float(n * n), pixels(n)) for n in range(200)]
    prepared = packed(tmp_path / "out", records, task="regression", unit="mm")
    manifest, train = prepared.manifest, prepared.targets("train")
    assert train.dtype == np.float32
    assert manifest.counts == {"train": 140, "val": 20, "test": 40}
    assert (manifest.classes, manifest.unit) == ([], "mm")
    assert manifest.class_counts == {split: [] for split in SPLITS}
    assert manifest.target_mean == pytest.approx(train.mean(dtype=np.float64))
    assert manifest.target_std == pytest.approx(train.std(dtype=np.float64))
    # each tenth of the targets gives its share
    tenths, _ = np.histogram(np.sqrt(prepared.targets("test")), bins=np.arange(0, 201, 20))
    assert tenths.tolist() == [4] * 10


def leaky() -> list[Record]:
    same, other = pixels(7777), pixels(8888)
    records = [
        Record(f"{split}/{n}", split, "ab"[n % 2], pixels(n + 100 * place))
        for place, split in enumerate(SPLITS)
        for n in range(4)
    ]
    return [
        *records,
        *(Record(f"{split}/same", split, "a", same) for split in SPLITS),
        Record("train/same-again", "train", "a", same),
        Record("train/other", "train", "b", other),
        Record("val/other", "val", "b", encoded(other)),
    ]


def test_duplicates_are_reported(tmp_path: Path) -> None:
    manifest = packed(tmp_path / "out", leaky()).manifest
    assert manifest.duplicates_across == [
        ["test/test/same", "train/train/same", "train/train/same-again", "val/val/same"],
        ["train/train/other", "val/val/other"],
    ]
    assert manifest.duplicates_within == {"train": 1, "val": 0, "test": 0}
    assert manifest.deduplicated == 0
    assert manifest.counts == {"train": 7, "val": 6, "test": 5}


def test_duplicates_are_taken_out(tmp_path: Path) -> None:
    manifest = packed(tmp_path / "out", leaky(), deduplicate=True).manifest
    assert manifest.counts == {"train": 4, "val": 5, "test": 5}
    assert manifest.deduplicated == 4
    assert len(manifest.duplicates_across) == 2
    assert manifest.duplicates_within == {"train": 0, "val": 0, "test": 0}
    table = pd.read_csv(tmp_path / "out" / "samples.csv")
    assert {"val/other", "test/same"} <= set(table["name"])
    assert not {"train/other", "train/same", "val/same"} & set(table["name"])


def test_unreadable_images(tmp_path: Path) -> None:
    cut = encoded(pixels(1, 64, 64, 3))[:2000]
    bad = [Record("cat/z.png", None, "cat", b"no image"), Record("cat/cut.png", None, "cat", cut)]
    records = [*bad, *examples({"cat": 5, "dog": 5})]
    message = refused(tmp_path / "out", records)
    assert "cat/z.png cannot be read" in message
    assert "data.bad_images: skip" in message
    manifest = packed(tmp_path / "skip", records, bad_images="skip").manifest
    assert [item["file"] for item in manifest.skipped] == ["cat/cut.png", "cat/z.png"]
    assert "truncated" in manifest.skipped[0]["reason"]
    assert sum(manifest.counts.values()) == 10
    assert "none of the 2 images" in refused(tmp_path / "none", bad, bad_images="skip")


def test_a_class_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    bad = [Record(f"eel/{n}.png", None, "eel", b"no image") for n in range(3)]
    records = [*bad, *examples({"cat": 5, "dog": 5})]
    message = refused(tmp_path / "out", records, bad_images="skip")
    assert "none of the 3 images of class eel can be read, such as eel/0.png (no image" in message
    assert "repair them, or take the class out" in message
    numbers = [Record(r.name, None, float(n), r.image) for n, r in enumerate(records)]
    manifest = packed(tmp_path / "numbers", numbers, bad_images="skip", task="regression").manifest
    assert len(manifest.skipped) == 3


def test_faulty_sets(tmp_path: Path) -> None:
    records = examples({"cat": 10, "dog": 10})
    out = tmp_path / "out"
    wide = Record("dog/wide", None, "dog", pixels(1, 6, 9, 3))
    message = refused(out, [*records, wide])
    assert "cat/000 has 6x6 pixels and dog/wide 9x6" in message
    assert "data.image_size" in message
    grey = Record("dog/grey", None, "dog", pixels(1, 6, 6))
    assert "dog/grey is grey and cat/000 has colour" in refused(out, [*records, grey])
    assert "dog/grey is grey and cat/000 has colour" in refused(out, [grey, *records])
    assert "cat/001 is there twice" in refused(out, [*records, records[1]])
    assert "all images are of one class, cat" in refused(out, records[:10])
    unseen = Record("eel/1", "test", "eel", pixels(1))
    train = [Record(r.name, "train", r.target, r.image) for r in records]
    assert "class eel has no image in train" in refused(out, [*train, unseen])
    assert "no image is left for val" in refused(out, examples({"cat": 1, "dog": 1}))
    flat = [Record(str(n), None, 1.0, pixels(n)) for n in range(20)]
    assert "the same number" in refused(out, flat, task="regression")
    # nor does float32 tell these apart
    near = [Record(str(n), None, 2.0**24 + n % 2, pixels(n)) for n in range(20)]
    assert "the same number" in refused(out, near, task="regression")


def test_resizing_crops_the_centre(tmp_path: Path) -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 20:60] = (200, 100, 50)
    result = single(encoded(image), tmp_path / "out", image_size=10)
    assert result.shape == (10, 10, 3)
    assert abs(result[:, 1:-1].astype(int) - (200, 100, 50)).max() <= 4
    assert single(image, tmp_path / "pixels", image_size=10, channels=1).shape == (10, 10, 1)
    for folder in ("out", "pixels"):
        table = pd.read_csv(tmp_path / folder / "samples.csv")
        assert (table["width"] == 80).all()
        assert (table["height"] == 40).all()


def test_resizing_is_antialiased(tmp_path: Path) -> None:
    fine = np.zeros((64, 64), np.uint8)
    fine[::2] = 255
    result = single(encoded(fine), tmp_path / "out", image_size=8)
    assert abs(result.astype(int) - 128).max() <= 12


def test_a_large_jpeg_is_read_at_a_fraction_and_looks_the_same(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(1024), np.arange(1024)) // 8
    image = np.repeat(ramp.astype(np.uint8)[:, :, None], 3, axis=2)
    result = single(encoded(image, "JPEG", quality=95), tmp_path / "out", image_size=32)
    table = pd.read_csv(tmp_path / "out" / "samples.csv")
    assert (table["width"] == 1024).all()
    whole = Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC)
    assert abs(result.astype(int) - np.asarray(whole)).max() <= 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_applied(kind: str, tmp_path: Path) -> None:
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    result = single(encoded(image, kind, quality=100, exif=exif), tmp_path / "out")
    assert result.shape == (16, 8, 3)
    assert result[:8].min() > 240
    assert result[8:].max() < 15
    table = pd.read_csv(tmp_path / "out" / "samples.csv")
    assert (table["width"] == 8).all()
    assert (table["height"] == 16).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_odd_notes_about_an_image_do_not_keep_it_out(kind: str, tmp_path: Path) -> None:
    """Pillow turned the image, and then could not write its EXIF anew."""
    image = np.zeros((8, 16, 3), np.uint8)
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHII", 0x0213, 4, 1, 70_000)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)
    assert single(encoded(image, kind, exif=exif), tmp_path / "odd").shape == (16, 8, 3)
    garbage = encoded(image, kind, exif=b"Exif\0\0garbage")
    assert single(garbage, tmp_path / "garbage").shape == (8, 16, 3)


def test_kinds_of_pixels(tmp_path: Path) -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[0] = (10, 20, 30, 255)
    result = single(encoded(clear), tmp_path / "alpha")
    np.testing.assert_array_equal(result[0], np.broadcast_to((10, 20, 30), (4, 3)))
    assert result[1:].min() == 255

    deep = np.full((4, 4), 65535, np.uint16)
    deep[0] = 257 * 7
    result = single(encoded(deep), tmp_path / "deep")
    assert result[0, :, 0].tolist() == [7] * 4
    assert result.shape == (4, 4, 1)
    assert result[1:].min() == 255

    netpbm = b"P5 4 4 65535 " + deep.astype(">u2").tobytes()
    np.testing.assert_array_equal(single(netpbm, tmp_path / "netpbm"), result)

    grey = pixels(1, 4, 4)
    result = single(encoded(grey), tmp_path / "grey3", channels=3)
    np.testing.assert_array_equal(result, np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(single(grey, tmp_path / "pixels3", channels=3), result)

    palette = np.asarray(Image.fromarray(pixels(2, 4, 4, 3)).quantize(4).convert("RGB"))
    result = single(encoded(palette, "GIF"), tmp_path / "palette")
    np.testing.assert_array_equal(result, palette)

    unknown = Record("x.tif", None, "a", encoded(np.zeros((4, 4), np.float32), "TIFF"))
    assert "32-bit pixels" in refused(tmp_path / "float", [unknown])


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("the peak is read from /proc")
    # 307 MB of pixels, in a process of its own
    code = """
import sys, numpy as np
from pathlib import Path
from vision.packing import pack
from vision.params import Data
from vision.sources.record import Record
pixels = np.random.default_rng(0).integers(0, 256, (320, 320, 3), dtype=np.uint8)
images = (Record(f"{n:04d}", None, "ab"[n % 2], np.roll(pixels, n)) for n in range(1000))
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak()
pack(images, Data(source="folder", path="x"), Path(sys.argv[1]))
print(peak() - before)
"""
    made = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(made.stdout) < 150_000


def test_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS.format(path="own.zip"))
    with pytest.raises(UserError, match="data/raw is missing"):
        preprocess_stage.main()
    write_zip(Path("own.zip"), class_files(each=20))
    fetch_stage.main()
    assert preprocess_stage.main().startswith(
        "data/prepared: 28 train, 4 val, 8 test; 6x6x3, 2 classes; duplicates across splits: 0"
    )
    made = contents(Path("data/prepared"))
    assert set(made) == {
        *(f"{split}{part}.npy" for split in SPLITS for part in ("", "_targets")),
        "samples.csv",
        "manifest.json",
    }
    preprocess_stage.main()
    assert contents(Path("data/prepared")) == made
    assert sorted(path.name for path in Path("data").iterdir()) == ["prepared", "raw"]


def test_a_failing_stage_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS.format(path="own.zip"))
    Path("data/prepared").mkdir(parents=True)
    Path("data/prepared/old").write_text("old")
    write_zip(Path("own.zip"), {**class_files(), "cat/bad.png": b"bad"})
    fetch_stage.main()
    with pytest.raises(UserError, match=r"cat/bad\.png"):
        preprocess_stage.main()
    assert sorted(path.name for path in Path("data").iterdir()) == ["prepared", "raw"]
    assert [path.name for path in Path("data/prepared").iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("name", "shape", "counts"),
    [
        ("cifar10-jpeg.tar.xz", (32, 32, 3), {"train": 45_000, "val": 5_000, "test": 10_000}),
        ("mnist-png.tar.xz", (28, 28, 1), {"train": 54_001, "val": 5_999, "test": 10_000}),
    ],
)
def test_real_archives(
    name: str, shape: tuple[int, ...], counts: dict[str, int], tmp_path: Path
) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/data/{name} is not there")
    own: Data = data(path=path)
    raw = tmp_path / "raw"
    raw.mkdir()
    SOURCES["folder"].fetch(own, raw)
    prepared = packed(tmp_path / "out", SOURCES["folder"].records(own, raw), path=path)
    assert prepared.manifest.counts == counts
    assert prepared.images("train").shape[1:] == shape
    assert len(prepared.manifest.classes) == 10
