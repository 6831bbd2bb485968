"""The schema of params.yaml."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from vision import params
from vision.errors import UserError

STUDIES = sorted(Path("studies").glob("*.yaml"))

GOOD = yaml.safe_load("""
study: test
data: {source: digits, path: data/source}
seeds: [0, 1]
labels_per_class: [all, 10]
scratch: [plain]
transfer: [frozen]
models:
  plain: {net: resnet20, epochs: 1, optimizer: {name: sgd, lr: 0.1}}
  frozen: {backbone: backbones/x, head: {epochs: 1, optimizer: {name: adam, lr: 0.001}}}
evaluation: {}
runtime: {}
""")

CNN = {"net": "cnn", "epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}}


def changed(place: str, value: Any) -> Any:
    """GOOD with one key, given by its dotted place, set to another value."""
    content = deepcopy(GOOD)
    *sections, key = place.split(".")
    node = content
    for section in sections:
        node = node[section]
    node[key] = value
    return content


@pytest.mark.parametrize("number", ["1e-05", "1E-5", "1.0e-5", "0.00001", "+1e-5", "1.e-5"])
def test_small_numbers_are_read_as_dvc_writes_them(tmp_path: Path, number: str) -> None:
    content = deepcopy(GOOD)
    content["models"]["plain"]["optimizer"]["lr"] = "NUMBER"
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(content).replace("NUMBER", number))
    plain = params.load(file).models["plain"]
    assert isinstance(plain, params.Scratch)
    assert plain.optimizer.lr == 0.00001


def test_a_study_has_a_run_for_each_model_labels_and_seed() -> None:
    study = params.check(GOOD)
    assert len(study.runs) == 2 * 2 * 2
    assert study.runs[0].under(Path("models")) == Path("models/plain/all-0")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            "models.plain.epoch",
            2,
            "models.plain: 'epoch' is not a known key; did you mean 'epochs'",
        ),
        ("models.plain.optimizer.lr", "0.001", "lr: '0.001' is text; write the number without"),
        ("models.plain.optimizer.momentun", 0.9, "did you mean 'momentum'"),
        ("models.plain", [1, 1], "models.plain: .*Scratch, not \\[1, 1\\]"),
        ("models.plain.epochs", 2.5, "models.plain.epochs: .*integer, not 2.5"),
        ("models.plain.epochs", -1, "models.plain.epochs: .*greater than or equal to 0"),
        ("models.plain", {"net": "resnet20", "epochs": 1}, "models.plain.optimizer is missing"),
        (
            "models.plain.optimizer.name",
            "sdg",
            "optimizer: 'sdg' is not one of 'sgd', 'adam', 'adamw'",
        ),
        ("models.frozen", {"backbone": "timm/resnet18"}, "give `head` .*, `finetune`, or both"),
        ("models.plain.loss", "l1", "models.plain: loss l1 is not for classification"),
        ("models.plain.net", "resnet2", "net 'resnet2' is not one .*did you mean 'resnet20'"),
        ("models.plain.args", {"depth": 3}, "models.plain: resnet20 takes no args"),
        ("models.plain.stem", "small", "models.plain: stem: small is for networks of timm"),
        ("models.plain", {**CNN, "args": {"depht": 3}}, "args: 'depht' .*did you mean 'depth'"),
        ("models.plain", {**CNN, "args": {"depth": 0}}, "models.plain: args.depth: .*not 0"),
        ("models.plain", {**CNN, "net": "timm/x", "args": {"in_chans": 1}}, "args in_chans: set"),
        (
            "models.plain",
            {**CNN, "balance": "sampling", "augment": {"flip": "alternating"}},
            "with balance: sampling, set flip: true",
        ),
        ("models.my cnn", CNN, "models.my cnn"),
        ("models.plain", CNN | {True: 1}, "models.plain: True is not a known key"),
        ("models.frozen.args", {"depth": 3}, "args are for timm/NAME; backbones/x has its own"),
        (
            "models.frozen.head.optimizer",
            {"name": "muon", "lr": 1.0, "momentum": 0.0, "others": {"lr": 1.0, "bias_lr": 1.0}},
            "momentum: .*greater than 0",
        ),
        (
            "models.frozen.finetune",
            {
                "epochs": 1,
                "layer_decay": 0.5,
                "optimizer": {"name": "muon", "lr": 1.0, "others": {"lr": 1.0, "bias_lr": 1.0}},
            },
            "layer_decay is for sgd, adam and adamw",
        ),
        (
            "models.frozen.head",
            {
                "epochs": 1,
                "views": 3,
                "augment": {"flip": "alternating"},
                "optimizer": {"name": "sgd", "lr": 0.1},
            },
            "models.frozen.head: flip: alternating wants an even number of views",
        ),
        ("scratch", ["plian"], "no such entry; did you mean 'plain'"),
        ("scratch", ["frozen"], "'frozen', which belongs under transfer"),
        ("seeds", [0, 0], "seeds names something twice"),
        ("seeds", [], "seeds: .*at least 1 item"),
        ("labels_per_class", ["some"], "labels_per_class.0"),
        ("data.task", "regression", "source: digits has classes"),
        ("data.extra_tests", {"../phone": "phone"}, "data.extra_tests"),
        ("evaluation.tolerance", 5, "evaluation.tolerance is for task: regression"),
        ("data.sourse", "digits", "did you mean 'source'"),
        ("baseline", "plian", "baseline: 'plian' is not a model .*; did you mean 'plain'"),
        ("select", {"metric": "mae"}, "mae is not measured in classification; known: accuracy"),
        (
            "select",
            {"metric": "loss", "higher_is_better": True},
            "select: lower is better for loss: leave higher_is_better out, or set it to false",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(place: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        params.check(changed(place, value))


def test_a_network_gets_the_arguments_that_were_left_at_their_default() -> None:
    plain = params.check(changed("models.plain", {**CNN, "args": {"depth": 4}})).models["plain"]
    assert isinstance(plain, params.Scratch)
    assert plain.arguments == params.CNN(depth=4).model_dump()


@pytest.mark.parametrize(("key", "value"), [("balance", "weights"), ("label_smoothing", 0.1)])
def test_numbers_have_no_classes_to_balance_or_to_smooth(key: str, value: Any) -> None:
    content = changed(f"models.plain.{key}", value)
    content["data"] = {"source": "utkface", "path": "x", "task": "regression"}
    content["labels_per_class"] = ["all"]
    with pytest.raises(UserError, match=rf"models\.plain: {key} is for classes"):
        params.check(content)


def test_a_backbone_that_dvc_does_not_watch_is_refused() -> None:
    """What is in `models` might be made after what starts from it."""
    content = changed("models.frozen.backbone", "models/resnet20/all-0")
    with pytest.raises(UserError, match=r"models\.frozen: .*resnet20/all-0 .* below backbones/"):
        params.check(content)


def test_a_model_cannot_have_the_name_of_what_it_may_become() -> None:
    """reports/metrics.json names the winner beside the models."""
    with pytest.raises(UserError, match="winner is a key"):
        params.check(changed("models.winner", CNN) | {"scratch": ["winner"]})


def test_an_empty_study_is_refused() -> None:
    with pytest.raises(UserError, match="both empty"):
        params.check({**GOOD, "scratch": [], "transfer": []})


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cp studies/digits\.yaml"):
        params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("study: Käfer".encode("latin-1"), "is not UTF-8 text: save it as UTF-8"),
        ("study: x".encode("utf-16"), "is not UTF-8 text: save it as UTF-8"),
        (b"# dates\nstudy: 2024-13-41\n", "line 2: not valid YAML: '2024-13-41' reads as a date"),
        (b"seeds: [0, 0b_]\n", "line 1: not valid YAML: '0b_' reads as"),
        (b"study: x\nseeds: [0\nrest: }\n", "line 3: not valid YAML: "),
        (b"study: \0", "is not valid YAML"),
        (b"", "holds no keys: cp studies/digits.yaml"),
        (b"- study", "holds no keys"),
    ],
)
def test_an_unreadable_file_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        params.load(file)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_fits_the_schema_and_trains_all_its_models(path: Path) -> None:
    study = params.load(path)
    assert set(study.names) == set(study.models)
