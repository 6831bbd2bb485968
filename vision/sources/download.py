"""Files of known content: from a copy under `data.path`, or over the network."""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision.errors import UserError
from vision.files import sha256
from vision.params import Data

DOWNLOADS = Path(".downloads")
"""Where downloads are kept, whole and partial ones: DVC empties a stage's outputs before it runs
the stage again, whichever param changed."""

_ATTEMPTS = 5
_BLOCK = 1 << 18
_TIMEOUT = (10, 60)


@dataclass(frozen=True)
class Remote:
    """A file on the network, and what it must contain."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


class _InterruptedError(Exception):
    """The transfer ended early, for a reason that may pass."""


def obtain(remotes: Sequence[Remote], data: Data, raw: Path) -> dict[str, Any]:
    """Put the files into `raw`, each from a copy under `data.path` or downloaded.

    Returns the facts `from` (addresses, or the path as given) and `files` (sha256 by name).

    Raises:
        UserError: a file cannot be had, or its content is not the published one.
    """
    origins = set()
    for remote in remotes:
        copy = _copy(remote, Path(data.path), only=len(remotes) == 1)
        if copy is not None:
            _verify(copy, remote)
            origins.add(data.path)
        else:
            copy = download(remote)
            origins.add(remote.url)
        shutil.copyfile(copy, raw / remote.name)
    return {
        "from": sorted(origins),
        "files": {remote.name: remote.sha256 for remote in remotes},
    }


def download(remote: Remote) -> Path:
    """Download to DOWNLOADS, unless it is there, going on from what an earlier try left there.

    Raises:
        UserError: the address cannot be reached or refuses, or the content is not the published.
    """
    DOWNLOADS.mkdir(exist_ok=True)
    # files of different sets share their names, so the content's name comes first
    finished = DOWNLOADS / f"{remote.sha256[:12]}-{remote.name}"
    partial = finished.with_name(finished.name + ".part")
    if finished.exists() and sha256(finished) == remote.sha256:
        return finished
    reason = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(2 ** (attempt - 1))
        resumed = partial.exists()
        try:
            _transfer(remote, partial)
        except _InterruptedError as error:
            reason = str(error)
            continue
        found = sha256(partial)
        if found == remote.sha256:
            return partial.rename(finished)
        partial.unlink()
        reason = f"its sha256 is {found}, not the published {remote.sha256}"
        if not resumed:
            break
    raise UserError(f"{remote.url} could not be downloaded: {reason}; {_way_out(remote)}")


def _transfer(remote: Remote, partial: Path) -> None:
    """One request for what `partial` still lacks.

    Raises:
        _InterruptedError: another try may do better.
        UserError: it will not.
    """
    import requests
    import urllib3
    from tqdm import tqdm

    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with requests.get(remote.url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if have and response.status_code == requests.codes.requested_range_not_satisfiable:
                # nothing is left to send: the checksum says whether the partial is the whole
                return
            _refuse(response.status_code, remote)
            if response.status_code != requests.codes.partial_content:
                have = 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            with (
                partial.open("r+b" if have else "wb") as file,
                tqdm(
                    desc=remote.name,
                    total=total,
                    initial=have,
                    unit="B",
                    unit_scale=True,
                    mininterval=1,
                    file=sys.stderr,
                ) as progress,
            ):
                file.seek(have)
                # not decoded: some servers label a .gz file as an encoding of its content
                for block in response.raw.stream(_BLOCK, decode_content=False):
                    file.write(block)
                    progress.update(len(block))
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _InterruptedError(_short(error)) from None
    if total is not None and partial.stat().st_size < total:
        raise _InterruptedError(
            f"the connection ended after {partial.stat().st_size} of {total} bytes"
        )


def _refuse(status: int, remote: Remote) -> None:
    if status == 429 or status >= 500:
        raise _InterruptedError(f"the server answered {status}")
    if status >= 400:
        raise UserError(f"{remote.url}: the server answered {status}; {_way_out(remote)}")


def _short(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection (is there a network, or a proxy to set?)"
    return str(error)


def _copy(remote: Remote, path: Path, *, only: bool) -> Path | None:
    if path.is_file() and (only or path.name == remote.name):
        return path
    return path / remote.name if (path / remote.name).is_file() else None


def _verify(copy: Path, remote: Remote) -> None:
    found = sha256(copy)
    if found != remote.sha256:
        raise UserError(
            f"{copy} is not the published {remote.name}: its sha256 is {found}, not "
            f"{remote.sha256}; delete it, and it is downloaded from {remote.url}"
        )


def _way_out(remote: Remote) -> str:
    return f"try again later, or put a copy of {remote.name} into the folder that data.path names"
