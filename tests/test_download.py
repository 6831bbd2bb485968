"""Downloads, from a server on this machine that can misbehave."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.images import data, pixels, sha256
from vision.errors import UserError
from vision.sources.download import DOWNLOADS, Remote, obtain

CONTENT = pixels(1, 500_000).tobytes()


@dataclass
class Server:
    """What the server does next, and what it was asked."""

    url: str = ""
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)
    """Answered in turn before anything is served."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which a connection ends, in turn."""
    encoding: str = ""
    asked: list[str | None] = field(default_factory=list)
    """The Range header of each request."""

    @property
    def remote(self) -> Remote:
        return Remote(f"{self.url}/images.tar.gz", sha256(CONTENT))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if start >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            if state.encoding:
                self.send_header("Content-Encoding", state.encoding)
            self.end_headers()
            cut = state.cuts.pop(0) if state.cuts else len(CONTENT)
            self.wfile.write(CONTENT[start : start + cut])

        def log_message(self, *args: Any) -> None:
            pass

    # the waits between tries are not what is tested
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        http.shutdown()


def fetched(server: Server) -> dict[str, Any]:
    return obtain([server.remote], data("cifar10"), Path("raw"))


def refused(server: Server) -> str:
    with pytest.raises(UserError) as caught:
        fetched(server)
    message = str(caught.value)
    assert server.url in message
    assert "put a copy of images.tar.gz into the folder that data.path names" in message
    assert not list(Path("raw").iterdir())
    return message


def partial(content: bytes, server: Server) -> Path:
    DOWNLOADS.mkdir()
    path = DOWNLOADS / f"{server.remote.sha256[:12]}-images.tar.gz.part"
    path.write_bytes(content)
    return path


def arrived() -> bool:
    (kept,) = DOWNLOADS.iterdir()
    return kept.suffix != ".part" and Path("raw/images.tar.gz").read_bytes() == CONTENT


def test_a_download(server: Server) -> None:
    facts = fetched(server)
    assert arrived()
    assert facts == {
        "from": [server.remote.url],
        "files": {"images.tar.gz": server.remote.sha256},
    }
    assert server.asked == [None]


def test_a_download_is_used_again(server: Server) -> None:
    fetched(server)
    # as DVC does before it runs the stage again
    Path("raw/images.tar.gz").unlink()
    fetched(server)
    assert arrived()
    assert server.asked == [None]


def test_a_spoilt_download_is_downloaded_again(server: Server) -> None:
    fetched(server)
    (kept,) = DOWNLOADS.iterdir()
    kept.write_bytes(b"x")
    fetched(server)
    assert arrived()
    assert server.asked == [None, None]


def test_a_copy_is_used_instead(server: Server) -> None:
    copy = Path("copy/images.tar.gz")
    copy.parent.mkdir()
    copy.write_bytes(CONTENT)
    for path in (copy, copy.parent):
        assert obtain([server.remote], data("cifar10", path), Path("raw"))["from"] == [str(path)]
        assert Path("raw/images.tar.gz").read_bytes() == CONTENT
    assert server.asked == []


def test_a_short_read_goes_on_where_it_ended(server: Server) -> None:
    server.cuts = [100_000, 100_000]
    fetched(server)
    assert arrived()
    assert server.asked == [None, "bytes=100000-", "bytes=200000-"]


def test_a_partial_file_of_an_earlier_run_is_continued(server: Server) -> None:
    partial(CONTENT[:300_000], server)
    fetched(server)
    assert arrived()
    assert server.asked == ["bytes=300000-"]


def test_a_server_without_ranges_starts_over(server: Server) -> None:
    server.ranges = False
    partial(CONTENT[:300_000], server)
    fetched(server)
    assert arrived()


def test_a_whole_partial_file_is_taken(server: Server) -> None:
    partial(CONTENT, server)
    fetched(server)
    assert arrived()


def test_a_spoilt_partial_file_is_dropped(server: Server) -> None:
    partial(b"x" * 300_000, server)
    fetched(server)
    assert arrived()
    assert server.asked == ["bytes=300000-", None]


def test_an_encoding_header_on_a_gz_file_changes_nothing(server: Server) -> None:
    server.encoding = "gzip"
    fetched(server)
    assert arrived()


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.statuses = [503, 429]
    fetched(server)
    assert arrived()


def test_a_missing_file_is_not_asked_for_again(server: Server) -> None:
    server.statuses = [404]
    assert "404" in refused(server)
    assert len(server.asked) == 1


def test_a_server_that_stays_broken(server: Server) -> None:
    server.statuses = [500] * 5
    assert "500" in refused(server)
    assert len(server.asked) == 5


def test_an_interrupted_download_is_kept_for_the_next_run(server: Server) -> None:
    server.cuts = [1000] * 5
    refused(server)
    (kept,) = DOWNLOADS.iterdir()
    assert kept.read_bytes() == CONTENT[:5000]


def test_other_content_is_refused(server: Server) -> None:
    other = Remote(server.remote.url, sha256(b"published"))
    with pytest.raises(UserError, match=f"its sha256 is {sha256(CONTENT)}"):
        obtain([other], data("cifar10"), Path("raw"))
    assert len(server.asked) == 1
    assert not list(DOWNLOADS.iterdir())


def test_a_finished_file_is_kept_when_another_fails(server: Server) -> None:
    second = Remote(f"{server.url}/second.gz", sha256(b"published"))
    with pytest.raises(UserError, match="second"):
        obtain([server.remote, second], data("mnist"), Path("raw"))
    fetched(server)
    assert server.asked == [None, None]


def test_no_network(server: Server) -> None:
    # a port that nothing listens on
    server.url = "http://127.0.0.1:9"
    assert "no connection" in refused(server)
