"""Training with torch.compile."""

from pathlib import Path

import pytest
import torch

from tests.prepared_data import bright_or_dark
from tests.test_checkpoint import EVERYTHING, TRANSFER, content, run
from vision.checkpoint import Checkpoint
from vision.errors import Stopped, UserError
from vision.params import Runtime, Scratch, Transfer
from vision.prepared import Prepared

COMPILED = Runtime(device="cpu", compile=True)


@pytest.fixture(autouse=True)
def anew() -> None:
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return bright_or_dark(tmp_path_factory.mktemp("prepared"))


@pytest.mark.slow
@pytest.mark.parametrize("model", [EVERYTHING, TRANSFER], ids=["scratch", "transfer"])
def test_a_compiled_run_stopped_midway_ends_in_the_same_bytes(
    model: Scratch | Transfer, prepared: Prepared, tmp_path: Path
) -> None:
    whole, _ = run(model, prepared, runtime=COMPILED)
    for steps in (5, 13):
        with pytest.raises(Stopped):
            run(model, prepared, Checkpoint("x", tmp_path), steps, COMPILED)
        again, _ = run(model, prepared, Checkpoint("x", tmp_path), runtime=COMPILED)
        assert content(again) == content(whole)
        Checkpoint("x", tmp_path).remove()


@pytest.mark.slow
def test_a_compiled_run_learns_what_a_plain_one_learns(prepared: Prepared) -> None:
    plain, _ = run(EVERYTHING, prepared)
    compiled, _ = run(EVERYTHING, prepared, runtime=COMPILED)
    for one, other in zip(plain.rows, compiled.rows, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=0.02)


def test_a_compiler_that_is_missing_is_named(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-g++"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    with pytest.raises(UserError, match=r"no-such-g\+\+.*runtime\.compile: false"):
        run(EVERYTHING, prepared, runtime=COMPILED)
