"""Interrupted work, continued.

DVC deletes a stage's outputs before it runs, so the state of unfinished training lives elsewhere,
in `.checkpoints/`, under a digest of all that the result depends on: a run finds the checkpoint
that is its own, and no other.
"""

import hashlib
import io
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from vision.errors import Stopped, UserError
from vision.files import CHECKPOINTS, sha256

INTERVAL = 20.0
"""Seconds between checkpoints, at least."""
SHARE = 0.02
"""Of the time, at most, that goes into saving: what takes long to save, a large network's state, is
saved less often. A SIGKILL costs the work since the last checkpoint."""


class Checkpoint:
    """The state of one unfinished run, in one file.

    The file is the sha256 of its payload (32 bytes), then the payload, written beside its place
    and moved there, so that a kill or a full disk leaves the one before.
    """

    def __init__(
        self,
        digest: str,
        root: Path = CHECKPOINTS,
        interval: float = INTERVAL,
        share: float = SHARE,
    ) -> None:
        self.file = root / f"{digest}.ckpt"
        self.interval, self.share = interval, share
        self.stopping = False
        self.stepping = False
        """Whether steps are being taken, after each of which `due` is asked."""
        self._due = time.monotonic() + interval

    def load(self) -> dict[str, Any] | None:
        """The saved state, or nothing. A damaged file is set aside with a message."""
        if not self.file.exists():
            return None
        content = self.file.read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            aside = self.file.with_suffix(".damaged")
            self.file.replace(aside)
            print(f"{self.file} is damaged: set aside as {aside.name}, begun anew", file=sys.stderr)
            return None
        state: dict[str, Any] = torch.load(
            io.BytesIO(content[32:]), map_location="cpu", weights_only=True
        )
        return state

    def due(self) -> bool:
        """Whether it is time to save: now and then, and at once when asked to stop."""
        self.stepping = True
        return self.stopping or time.monotonic() >= self._due

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state.

        Raises:
            UserError: it cannot be written; the state saved before is still there.
            Stopped: the run was asked to stop, and now can.
        """
        started = time.monotonic()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getbuffer()
        fresh = self.file.with_suffix(".new")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(hashlib.sha256(payload).digest())
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.file)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise UserError(
                f"{self.file} cannot be written ({error.strerror}): make room, then run again to "
                "go on from the checkpoint before it"
            ) from error
        saved = time.monotonic()
        self._due = saved + max(self.interval, (saved - started) / self.share)
        if self.stopping:
            raise self._stopped()

    def rest(self) -> None:
        """No steps are taken for a while, so that none need be waited for.

        Raises:
            Stopped: the run was asked to stop.
        """
        self.stepping = False
        if self.stopping:
            raise self._stopped()

    def _stopped(self) -> Stopped:
        place = f" from {self.file}" if self.file.exists() else ""
        return Stopped(f"stopped; run it again to go on{place}")

    def remove(self) -> None:
        """The run is finished."""
        self.file.unlink(missing_ok=True)

    @contextmanager
    def saving_on_signals(self) -> Iterator[None]:
        """On SIGTERM (a pre-empted machine) or Ctrl-C, save at the next step and stop there; where
        no steps are being taken, and on a second Ctrl-C, stop at once.

        Raises:
            Stopped: in the block, at the signal.
        """

        presses: list[int] = []

        def ask(number: int, frame: FrameType | None) -> None:
            # a second SIGTERM is no wish: `timeout` sends it to the process and to its group
            presses.append(number)
            first, self.stopping = not self.stopping, True
            if (first and not self.stepping) or presses.count(signal.SIGINT) > 1:
                raise self._stopped()

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def digest(*parts: Any) -> str:
    """Of all that a result depends on: the parts given (JSON values), the code that is loaded from
    this project, and the software it runs on."""
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("vision.")]
    code = [sha256(Path(str(module.__file__))) for module in modules]
    packages = [version(name) for name in ("numpy", "timm", "torch")]
    software = [sys.version, packages, torch.backends.cpu.get_cpu_capability()]
    text = json.dumps([parts, code, software], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
