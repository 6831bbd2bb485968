"""What `dvc exp run -S` is refused for, by the `dvc` that make setup puts into .venv."""

import subprocess
import sys
from pathlib import Path

import pytest

from stages import overrides
from tests.study import ROOT, STUDY, write_study
from vision.errors import UserError

FILE = Path("params.yaml")


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the tiny study and this project's code, where this process then is.

    It is no DVC repository, so that DVC itself ends at once, with exit code 253.
    """
    write_study(tmp_path, STUDY)
    for name in ("stages", "vision"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).parent / "dvc")
    return subprocess.run([program, *arguments], text=True, capture_output=True, check=False)


def test_dvc_names_the_nearest_known_key() -> None:
    refused = dvc("exp", "run", "-S", "models.resnet20.epoch=2")
    assert refused.returncode == 1
    assert refused.stderr == (
        "error: params.yaml: models.resnet20: 'epoch' is not a known key; did you mean 'epochs'?\n"
    )
    assert not refused.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["exp", "run", "-S", "models.resnet20.epochs=2"], 253, "not inside of a DVC repository"),
        (["status"], 253, "not inside of a DVC repository"),
        (["exp", "run", "-S"], 254, "expected one argument"),
    ],
)
def test_everything_else_is_left_to_dvc(arguments: list[str], code: int, says: str) -> None:
    left = dvc(*arguments)
    assert left.returncode == code
    assert left.stderr.count(says) == 1


def test_another_projects_params_are_left_to_dvc(study: Path) -> None:
    (study / "stages").unlink()
    assert dvc("exp", "run", "-S", "models.resnet20.epoch=2").returncode == 253


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["modles.resnet20.epochs=2"], "'modles' is not a known key; did you mean 'models'"),
        (["params.yaml:models.resnet20.epoch=2"], "'epoch' is not a known key"),
        (["+models.resnet20.epoch=2"], "'epoch' is not a known key"),
        (["models.resnet2.epochs=2"], "no entry 'resnet2'; known: simple_cnn, resnet20, finetuned"),
        (["models.resnet20.epochs=two"], r"models\.resnet20\.epochs: .* integer, not 'two'"),
        (["models.resnet20.epochs=1,two"], r"models\.resnet20\.epochs: .* integer, not 'two'"),
        (["~models.resnet20.net"], r"models\.resnet20\.net is missing"),
        (["seeds=[1]", "scratch=[resnet2]"], "no such entry; did you mean 'resnet20'"),
    ],
)
def test_what_the_schema_refuses_is_refused_at_once(given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        overrides.check(given, FILE)


def test_a_key_that_only_the_file_lacks_can_be_added() -> None:
    message = (
        r"has no models\.resnet20\.min_steps, models\.simple_cnn\.augment; to add: "
        r"-S \+models\.resnet20\.min_steps=5 -S '\+models\.simple_cnn\.augment={crop:1}'$"
    )
    given = ["seeds=[1]", "models.resnet20.min_steps=5", "models.simple_cnn.augment={crop: 1}"]
    with pytest.raises(UserError, match=message):
        overrides.check(given, FILE)
    overrides.check([given[0], f"+{given[1]}", f"+{given[2]}"], FILE)


@pytest.mark.parametrize(
    "given",
    [
        ["models.resnet20.epochs=3", "seeds.0=7"],
        ["models.resnet20.epochs=1,2,3", "seeds=[0],[0,1]"],
        # neither would do alone
        ["~models.resnet20.epochs", "+models.resnet20.epochs=3"],
        ["labels_per_class=[all,5]", "study='a, b: c'"],
        # errors that are DVC's to name
        ["other.yaml:epoch=2"],
        ["models.resnet20.epochs"],
        ["+models.resnet20.epochs=2"],
        ["~models.resnet20.epoch"],
        ["study=${nothing}"],
    ],
)
def test_what_is_good_or_not_ours_passes(given: list[str], study: Path) -> None:
    before = (study / FILE).read_bytes()
    overrides.check(given, FILE)
    assert (study / FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [("models: 3", "models: Input should be"), ("a: [", "not valid YAML"), (None, "is missing")],
)
def test_a_file_that_is_broken_already_is_named(
    study: Path, content: str | None, message: str
) -> None:
    (study / FILE).unlink() if content is None else (study / FILE).write_text(content)
    with pytest.raises(UserError, match=rf"params\.yaml.*{message}"):
        overrides.check(["models.resnet20.epoch=1"], FILE)
