"""What a training run leaves for the question of how soon a model is good."""

import io
from pathlib import Path

import pytest
from dvclive import Live
from tqdm import tqdm

from stages.training import Progress
from vision.fit import Length, Row

LENGTHS = {"head": Length(2, 1, 5, 10), "finetune": Length(1, 1, 20, 4)}
ROWS = [
    Row(phase, epoch, 0.1, 1.0, 0.5, 1.0, 0.5)
    for phase, epoch in (("head", 1), ("head", 2), ("finetune", 3))
]


@pytest.mark.parametrize("continued", [False, True])
def test_epochs_end_after_so_many_images_and_seconds(tmp_path: Path, continued: bool) -> None:
    with Live(str(tmp_path), dvcyaml=False, save_dvc_exp=False) as live, tqdm(disable=True) as bar:
        progress = Progress(live, bar, LENGTHS)
        if continued:
            progress.resumed(ROWS[:2], 12)
        for row in ROWS[2 if continued else 0 :]:
            progress.epoch(row, 50, 0.0)
    assert [x.epoch for x in progress.moments] == [1, 2, 3]
    assert [x.images for x in progress.moments] == [50, 100, 180]
    seconds = [x.seconds for x in progress.moments]
    if continued:
        assert seconds == [None] * 3
    else:
        found = [x for x in seconds if x is not None]
        assert len(found) == 3
        assert 0 < found[0] < found[1] < found[2]


def test_the_bar_of_a_continued_run_starts_where_it_stopped(tmp_path: Path) -> None:
    with (
        Live(str(tmp_path), dvcyaml=False, save_dvc_exp=False) as live,
        tqdm(total=180, file=io.StringIO()) as bar,
    ):
        progress = Progress(live, bar, LENGTHS)
        progress.resumed(ROWS[:2], 12)
        assert bar.n == 112
        progress.step(8)
        assert bar.n == 120
        assert bar.n - bar.initial == 8, "what the rate is taken from"
