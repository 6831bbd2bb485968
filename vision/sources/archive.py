"""Images in people's own folders and archives, read without unpacking anything."""

import io
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from vision.errors import UserError
from vision.files import sha256
from vision.params import Data
from vision.prepared import Split
from vision.sources.extensions import is_image
from vision.sources.record import Record

LABELS = "labels.csv"
SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".zip")
LARGEST = 512 << 20
"""Bytes of the largest file that is read: each is read whole."""

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    UnicodeDecodeError,
)

_BLOCK = 1 << 20

Opener = Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Listing:
    """What a folder or an archive holds, by path below its top; hidden entries left out."""

    where: str
    """The folder or archive, as messages call it."""
    files: list[str]
    folders: list[str]
    tables: dict[str, bytes]
    """Content of every labels.csv."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a source's rule knows of one image before it is read."""

    name: str
    split: Split | None
    target: str | float


Rule = Callable[[Data, Listing], dict[str, Label]]
"""Finds the images of a listing: their labels by path. Raises UserError on a bad layout."""


def bring(data: Data, raw: Path, rule: Rule) -> dict[str, Any]:
    """Put the images under `data.path` into `raw` as one archive, and return facts of them.

    An archive is copied (a hard link would let a later change of the original reach the copy in
    DVC's cache). A folder's labelled files are written to an uncompressed `images.tar`, the same
    bytes whenever the files are the same: DVC hashes, caches and moves one file far faster than
    a tree of small ones.
    """
    path = find(data.path, "data.path")
    listing = scan(path)
    labels = rule(data, listing)
    if path.is_dir():
        kept = raw / "images.tar"
        _pack(path, sorted([*labels, *listing.tables]), kept)
    else:
        kept = raw / path.name
        shutil.copyfile(path, kept)
    facts: dict[str, Any] = {
        "from": data.path,
        "files": {kept.name: sha256(kept)},
        "images": len(labels),
    }
    if data.task == "classification":
        facts["classes"] = len({label.target for label in labels.values()})
    if left_out := _left_out(listing, labels):
        facts["left_out"] = left_out
    return facts


def _left_out(listing: Listing, labels: Collection[str]) -> dict[str, int]:
    """How many files are no images of the study, by the end of their names, most first."""
    others = [name for name in listing.files if name not in labels and name not in listing.tables]
    ends = Counter(posixpath.splitext(name)[1].lower() or "without an ending" for name in others)
    return dict(ends.most_common())


def labelled(data: Data, raw: Path, rule: Rule) -> Iterator[Record]:
    """Stream the images that `rule` finds in the one archive in `raw`."""
    path = next(path for path in raw.iterdir() if is_archive(path))
    return read(path, rule(data, scan(path)))


def read(path: Path, labels: dict[str, Label]) -> Iterator[Record]:
    """Stream the labelled images of a folder or an archive, in its order."""
    for member, file in stream(path, labels):
        label = labels[member]
        with _readable(path):
            content = file.read()
        yield Record(label.name, label.split, label.target, content)


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive this module reads."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def scan(path: Path) -> Listing:
    """List a folder or an archive.

    Raises:
        UserError: it is damaged, names a member twice, names one outside its own folder or not in
            UTF-8, or holds a link to a folder or, an archive, to an image or a table.
    """
    listing = Listing(str(path), [], [], {})
    with _readable(path):
        for name, opener in _entries(path):
            if _is_hidden(name):
                continue
            _check_name(path, name)
            if opener is None:
                listing.folders.append(name)
                continue
            listing.files.append(name)
            if posixpath.basename(name) == LABELS:
                with opener() as file:
                    listing.tables[name] = file.read()
    if len(set(listing.files)) != len(listing.files):
        name = next(name for name in listing.files if listing.files.count(name) > 1)
        raise UserError(f"{path} holds {name} twice: make the archive again with each file once")
    return listing


def stream(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Open the `wanted` files of a folder or an archive, in its order; each is readable until the
    next."""
    with _readable(path):
        for name, opener in _entries(path):
            if opener is not None and name in wanted:
                with opener() as file:
                    yield name, file


def find(given: str, key: str) -> Path:
    """The folder or archive at the path that params give under `key`.

    Raises:
        UserError: it is not there, or neither.
    """
    path = Path(given)
    if not path.exists():
        raise UserError(
            f"{key}: {path} does not exist: put your images there, or set {key} to the "
            f"folder or archive that holds them"
        )
    if path.is_dir():
        inside = [item for item in path.iterdir() if not item.name.startswith(".")]
        # a lone archive that was dropped into the folder is what its owner means
        return inside[0] if len(inside) == 1 and is_archive(inside[0]) else path
    if not is_archive(path):
        raise UserError(f"{key}: {path} is neither a folder nor an archive ({', '.join(SUFFIXES)})")
    return path


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def _check_name(path: Path, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{path} holds {name!a}, which is not UTF-8: rename it") from None


def _check_size(name: str, size: int) -> None:
    if size > LARGEST:
        raise UserError(
            f"{name} has {size:,} bytes, more than the {LARGEST:,} of a file that is read: make it "
            f"smaller, or leave it out"
        )


def _check_link(path: Path, name: str) -> None:
    """Refuse an image or a table that an archive holds as a link: where it leads is not read."""
    clean = posixpath.normpath(name)
    needed = is_image(clean) or posixpath.basename(clean) == LABELS
    if needed and not _is_hidden(clean):
        raise UserError(
            f"{path} holds {clean} as a link: make the archive with its content, with tar "
            f"--hard-dereference -h or zip without -y"
        )


def _pack(folder: Path, names: list[str], destination: Path) -> None:
    with tarfile.open(destination, "w") as tar:
        for name in names:
            # a fresh TarInfo has no owner, no time and a fixed mode
            info = tarfile.TarInfo(name)
            with _readable(folder):
                file = _open(folder / name)
            with file:
                info.size = os.fstat(file.fileno()).st_size
                tar.addfile(info, file)


def _entries(path: Path) -> Iterator[tuple[str, Opener | None]]:
    """Each regular file with its opener, and each folder with None, by cleaned name."""
    if path.is_dir():
        found = _in_folder(path)
    elif path.suffix.lower() == ".zip":
        found = _in_zip(path)
    else:
        found = _in_tar(path)
    for name, opener in found:
        if name.startswith("/") or ".." in name.split("/"):
            raise UserError(f"{path} names a file outside its own folder, {name}: not read")
        clean = posixpath.normpath(name)
        if clean != ".":
            yield clean, opener


def _in_folder(top: Path) -> Iterator[tuple[str, Opener | None]]:
    for place, folders, files in os.walk(top, onerror=_raise):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        below = Path(place).relative_to(top)
        for name in folders:
            if (path := Path(place, name)).is_symlink():
                raise UserError(
                    f"{path} is a link to a folder, which DVC does not follow: copy the folder "
                    f"here, or let params.yaml name the folder itself"
                )
            yield (below / name).as_posix(), None
        for name in sorted(files):
            if (path := Path(place, name)).is_file():
                yield (below / name).as_posix(), partial(_open, path)


def _raise(error: OSError) -> None:
    raise error


def _open(path: Path) -> IO[bytes]:
    _check_size(str(path), path.stat().st_size)
    return io.FileIO(path)


def _in_zip(path: Path) -> Iterator[tuple[str, Opener | None]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.replace("\\", "/")
            if info.flag_bits & 1:
                raise UserError(f"{path} is encrypted: make it again without a password")
            if info.is_dir():
                yield name, None
            elif stat.S_ISLNK(info.external_attr >> 16):
                _check_link(path, name)
            else:
                yield name, partial(_unzipped, archive, info)


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    _check_size(info.filename, info.file_size)
    return archive.open(info)


def _in_tar(path: Path) -> Iterator[tuple[str, Opener | None]]:
    with tarfile.open(path) as archive:
        while (member := archive.next()) is not None:
            if member.isdir():
                yield member.name, None
            elif member.isfile():
                yield member.name, partial(_member, archive, member)
            elif member.islnk() or member.issym():
                _check_link(path, member.name)
            # tarfile remembers every member: a gigabyte for a million images
            archive.members.clear()  # type: ignore[attr-defined]
        # tarfile takes a damaged header for the end, which is empty blocks
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)
        if any(archive.fileobj.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError("it is damaged or cut off")
        # the checksum of a compressed one is read at its end only
        while archive.fileobj.read(_BLOCK):
            pass


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    _check_size(member.name, member.size)
    file = archive.extractfile(member)
    assert file is not None, "a regular member has content"
    return file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise UserError(f"{error.filename or path} may not be read: chmod -R u+rX {path}") from None
    except _DAMAGE as error:
        # tarfile adds a line for each compression that it tried
        reason = str(error).partition(":\n")[0]
        raise UserError(f"{path} cannot be read ({reason}): is it a complete copy?") from None
