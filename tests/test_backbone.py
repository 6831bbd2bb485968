"""Pretrained backbones: where weights come from, what stays frozen, what is refused."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.prepared_data import bright_or_dark
from vision import backbone, saved
from vision.errors import UserError
from vision.fit import Row
from vision.network import Architecture, Input, Network, build_body, count_parameters
from vision.params import Runtime, Transfer
from vision.predict import predict
from vision.prepared import Prepared
from vision.train import Trained, train

CPU = Runtime(device="cpu", precision="fp32")
IMAGENET = Path(__file__).parents[2] / "shared/weights/mobilenetv1_100-imagenet.safetensors"
TIMM = "timm/test_efficientnet"
# an augmentation that changes nothing: the draws are 0 or larger than this
NEXT_TO_NOTHING = {"erase": 1e-12}
HEAD: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 32,
    "optimizer": {"name": "adam", "lr": 0.01},
}
FINETUNE: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 32,
    "optimizer": {"name": "sgd", "lr": 0.01},
}


class Silent:
    def resumed(self, rows: Sequence[Row], images: int) -> None: ...

    def step(self, images: int) -> None: ...

    def epoch(self, row: Row, images: int, seconds: float) -> None: ...


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return bright_or_dark(tmp_path_factory.mktemp("colour"))


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return bright_or_dark(tmp_path_factory.mktemp("grey"), channels=1)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model of this project."""
    return save_project(tmp_path_factory.mktemp("project") / "resnet20", "resnet20", 3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small timm network, classifier included, as the hub would have them."""
    path = tmp_path_factory.mktemp("timm") / "weights.safetensors"
    save_file(timm_state(), path)
    return path


def save_project(folder: Path, net: str, channels: int, size: int = 12) -> Path:
    torch.manual_seed(1)
    expects = Input(channels, size, size, [0.4, 0.5, 0.6][:channels], [0.2, 0.25, 0.3][:channels])
    network = Network(build_body(Architecture(net), expects), expects, 10, 0.0)
    unsettle(network)
    description = saved.Description(
        kind="scratch",
        backbone=None,
        weights=None,
        architecture=Architecture(net),
        input=expects,
        dropout=0.0,
        task="classification",
        classes=[str(k) for k in range(10)],
        unit="",
        target_mean=0.0,
        target_std=1.0,
        parameters=count_parameters(network),
        trainable_parameters=count_parameters(network),
    )
    saved.save(folder, network, description)
    return folder


def timm_state(name: str = "test_efficientnet") -> dict[str, Tensor]:
    torch.manual_seed(2)
    network = timm.create_model(name)
    unsettle(network)
    return dict(network.state_dict())


def unsettle(network: nn.Module) -> None:
    """Give BatchNorm statistics as training would have left them, not those of a new network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)


def transfer(**values: Any) -> Transfer:
    return Transfer.model_validate(values)


def run(prepared: Prepared, model: Transfer, runtime: Runtime = CPU) -> Trained:
    return train(model, prepared, prepared.training_subset("all", 0), 0, runtime, Silent())


def state(module: nn.Module) -> dict[str, bytes]:
    return {k: v.contiguous().numpy().tobytes() for k, v in module.state_dict().items()}


def as_loaded(prepared: Prepared, model: Transfer) -> dict[str, bytes]:
    """The backbone's bytes before any training."""
    return state(backbone.load(model, prepared.manifest).body)


@pytest.fixture(params=["project", "timm"])
def base(request: pytest.FixtureRequest, project: Path, weights: Path) -> dict[str, Any]:
    """A backbone that has BatchNorm, and in timm's case stochastic depth and dropout too."""
    if request.param == "project":
        return {"backbone": str(project)}
    args = {"drop_path_rate": 0.5, "drop_rate": 0.5}
    return {"backbone": TIMM, "weights": str(weights), "args": args}


@pytest.mark.parametrize("augment", [{}, NEXT_TO_NOTHING], ids=["features", "images"])
def test_a_frozen_body_keeps_every_byte(
    prepared: Prepared, base: dict[str, Any], augment: dict[str, Any]
) -> None:
    model = transfer(**base, head=HEAD | {"augment": augment})
    trained = run(prepared, model)
    assert state(trained.network.body) == as_loaded(prepared, model)
    assert trained.rows[-1].train_loss < trained.rows[0].train_loss
    head = count_parameters(trained.network.head)
    assert trained.description.trainable_parameters == head < trained.description.parameters


def test_features_made_once_train_the_same_head_as_the_network_in_the_loop(
    prepared: Prepared, base: dict[str, Any]
) -> None:
    once = run(prepared, transfer(**base, dropout=0.3, head=HEAD))
    always = run(prepared, transfer(**base, dropout=0.3, head=HEAD | {"augment": NEXT_TO_NOTHING}))
    torch.testing.assert_close(
        dict(once.network.state_dict()), dict(always.network.state_dict()), atol=1e-4, rtol=1e-4
    )
    for a, b in zip(once.rows, always.rows, strict=True):
        assert a.val_loss == pytest.approx(b.val_loss, rel=1e-3)
        assert a.train_loss == pytest.approx(b.train_loss, rel=1e-3)


def test_a_frozen_body_sees_augmented_images_where_there_is_augmentation(
    prepared: Prepared, project: Path
) -> None:
    plain = run(prepared, transfer(backbone=str(project), head=HEAD))
    erased = run(prepared, transfer(backbone=str(project), head=HEAD | {"augment": {"erase": 1.0}}))
    assert erased.rows[0].train_loss != pytest.approx(plain.rows[0].train_loss, rel=1e-3)


def test_the_last_layers_are_trained_and_the_first_keep_every_byte(
    prepared: Prepared, base: dict[str, Any]
) -> None:
    model = transfer(**base, finetune=FINETUNE | {"layers": 0.3})
    trained = run(prepared, model)
    before, after = as_loaded(prepared, model), state(trained.network.body)
    groups = backbone.layers(trained.network.body)
    frozen = {
        name.rpartition(".")[0]
        for name, parameter in trained.network.body.named_parameters()
        if not parameter.requires_grad
    }
    changed = {name for name in before if before[name] != after[name]}
    assert changed
    # parameters, statistics and counters of the frozen layers' modules
    assert not {name for name in changed if name.rpartition(".")[0] in frozen}
    assert set(groups[-1]) | set(groups[len(groups) - len(groups) // 4]) <= changed or (
        set(groups[-2]) <= changed  # the last layer of a network may have no parameters of its own
    )
    assert any(name.endswith("running_mean") for name in changed)


def test_frozen_batchnorm_keeps_every_byte_while_all_else_is_trained(
    prepared: Prepared, base: dict[str, Any]
) -> None:
    model = transfer(**base, finetune=FINETUNE | {"batchnorm": "frozen"})
    trained = run(prepared, model)
    before, after = as_loaded(prepared, model), state(trained.network.body)
    norms = {
        name
        for name, module in trained.network.body.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    }
    belongs = {name for name in before if name.rpartition(".")[0] in norms}
    assert norms
    assert {name for name in before if before[name] != after[name]} == before.keys() - belongs


def test_trained_batchnorm_follows_the_images(prepared: Prepared, base: dict[str, Any]) -> None:
    model = transfer(**base, finetune=FINETUNE)
    trained = run(prepared, model)
    before, after = as_loaded(prepared, model), state(trained.network.body)
    assert {name for name in before if before[name] != after[name]} == before.keys()
    assert trained.description.trainable_parameters == trained.description.parameters


def test_two_phases_come_in_order_and_the_second_starts_from_the_first(
    prepared: Prepared, base: dict[str, Any]
) -> None:
    head = run(prepared, transfer(**base, head=HEAD))
    both = run(prepared, transfer(**base, finetune=FINETUNE, head=HEAD))
    places = [(row.phase, row.epoch) for row in both.rows]
    assert places == [("head", 1), ("head", 2), ("head", 3), ("finetune", 4), ("finetune", 5)]
    assert both.rows[:3] == head.rows
    # a second phase that only harms is undone
    wild = FINETUNE | {"optimizer": {"name": "adam", "lr": 30.0}}
    harmed = run(prepared, transfer(**base, finetune=wild, head=HEAD))
    assert min(row.val_loss for row in harmed.rows[3:]) > head.rows[-1].val_loss
    assert state(harmed.network) == state(head.network)


def test_transfer_repeats_to_the_same_bytes(prepared: Prepared, base: dict[str, Any]) -> None:
    model = transfer(**base, dropout=0.2, head=HEAD, finetune=FINETUNE | {"layers": 0.5})
    first, again = run(prepared, model), run(prepared, model)
    assert state(first.network) == state(again.network)
    assert first.rows == again.rows


class Layered(nn.Module):
    """Layers of which the first is a parameter of the body itself, as a class token is."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1))
        for number in range(1, count):
            self.add_module(f"layer{number}", nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("share", "count", "trained"),
    [
        (0, 15, 0),
        (0.001, 15, 1),
        (0.2, 15, 3),
        (0.3, 15, 5),
        (0.28, 25, 7),  # whose product is a little over 7
        (0.99, 15, 15),
        (1.0, 15, 15),
    ],
)
def test_the_share_counts_layers_from_the_end(share: float, count: int, trained: int) -> None:
    body = Layered(count)
    backbone.train_last(body, share)
    flags = [module.weight.requires_grad for module in body.children()]
    assert [body.token.requires_grad, *flags] == [False] * (count - trained) + [True] * trained


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_vit", "test_convnext"])
def test_the_layers_of_a_timm_network_hold_each_parameter_once(name: str) -> None:
    body = timm.create_model(name, num_classes=0)
    groups = backbone.layers(body)
    assert len(groups) > 3
    assert sorted(itertools.chain(*groups)) == sorted(n for n, _ in body.named_parameters())
    assert any(part in name for name in groups[0] for part in ("stem", "conv1", "patch_embed"))


def load(prepared: Prepared, **values: Any) -> backbone.Backbone:
    return backbone.load(transfer(head=HEAD, **values), prepared.manifest)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pth in a wrapping"])
def test_weights_come_from_a_local_file(prepared: Prepared, tmp_path: Path, suffix: str) -> None:
    source = timm_state()
    file = tmp_path / f"weights{suffix.split()[0]}"
    if suffix == ".safetensors":
        save_file(source, file)
    else:
        torch.save({"state_dict": source, "epoch": 3} if "wrapping" in suffix else source, file)
    found = load(prepared, backbone=TIMM, weights=str(file))
    loaded = found.body.state_dict()
    assert loaded.keys() < source.keys()
    assert all(torch.equal(loaded[name], source[name]) for name in loaded)
    assert found.weights is not None
    assert found.weights["from"] == file.name
    assert len(found.weights["sha256"]) == 64


def test_an_unknown_timm_network_is_refused_with_near_names(prepared: Prepared) -> None:
    with pytest.raises(UserError, match=r"timm/resnet10tt.*did you mean resnet10t"):
        load(prepared, backbone="timm/resnet10tt", weights=None)
    with pytest.raises(UserError, match=r"timm/efficientnt_b0.*efficientnet_b0"):
        load(prepared, backbone="timm/efficientnt_b0", weights=None)


def test_an_unknown_tag_of_a_timm_network_is_refused(prepared: Prepared) -> None:
    with pytest.raises(UserError, match=r"timm/test_resnet\.wrong cannot be built.*tag \(wrong\)"):
        load(prepared, backbone="timm/test_resnet.wrong", weights=None)


def test_arguments_that_a_network_does_not_take_are_named(prepared: Prepared) -> None:
    with pytest.raises(UserError, match=r"timm/test_resnet.*no_such_thing"):
        load(prepared, backbone="timm/test_resnet", weights=None, args={"no_such_thing": 1})


def test_arguments_that_leave_no_vector_an_image_are_named(prepared: Prepared) -> None:
    model = transfer(backbone="timm/test_resnet", weights=None, args={"global_pool": ""}, head=HEAD)
    with pytest.raises(UserError, match=r"timm/test_resnet.*with other args.* one vector an image"):
        run(prepared, model)


def test_an_input_size_that_a_network_does_not_take_is_named(prepared: Prepared) -> None:
    with pytest.raises(UserError, match=r"timm/test_vit.*12x12.*image_size"):
        run(prepared, transfer(backbone="timm/test_vit", weights=None, head=HEAD))


def test_no_such_project_backbone(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load(prepared, backbone=str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="holds no model"):
        load(prepared, backbone=str(tmp_path))


def test_a_missing_weight_file_is_named_with_the_ways_on(prepared: Prepared) -> None:
    for name in ("lost.safetensors", "lost.pth"):
        with pytest.raises(UserError, match=rf"{name}: no such file.*weights: null"):
            load(prepared, backbone=TIMM, weights=f"nowhere/{name}")


def test_weights_of_another_network_are_refused(
    prepared: Prepared, project: Path, tmp_path: Path
) -> None:
    file = tmp_path / "other.safetensors"
    save_file(timm_state("test_resnet"), file)
    for name in (TIMM, str(project)):
        with pytest.raises(UserError, match=r"other\.safetensors do not fit"):
            load(prepared, backbone=name, weights=str(file))


class Bomb:
    """Unpickling this runs code: it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(prepared: Prepared, tmp_path: Path) -> None:
    trap = tmp_path / "the code ran"
    for suffix in (".pth", ".bin"):
        file = tmp_path / f"evil{suffix}"
        torch.save({"weight": Bomb(trap)}, file)
        with pytest.raises(UserError, match=rf"evil\{suffix} cannot be read as plain tensors"):
            load(prepared, backbone=TIMM, weights=str(file))
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"not tensors at all"])
def test_a_broken_weight_file_is_refused(
    prepared: Prepared, tmp_path: Path, content: bytes
) -> None:
    for suffix in (".safetensors", ".pth"):
        file = tmp_path / f"broken{suffix}"
        file.write_bytes(content)
        with pytest.raises(UserError, match=rf"broken\{suffix} cannot be read"):
            load(prepared, backbone=TIMM, weights=str(file))


def hub(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Tensor] | OSError) -> None:
    """Let timm's hub answer so."""

    def download(*_: Any, **__: Any) -> dict[str, Tensor]:
        if isinstance(answer, OSError):
            raise answer
        return dict(answer)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", download)


def test_an_unreachable_hub_is_named_with_the_two_ways_on(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(monkeypatch, OSError("no route to host"))
    name = "timm/test_resnet.r160_in1k"
    with pytest.raises(UserError, match=rf"weights of {name} cannot be had from {name}") as caught:
        load(prepared, backbone=name)
    for way in ("weights: path/to/model.safetensors", "weights: null"):
        assert way in str(caught.value)


def test_weights_come_from_the_hub(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    source = timm_state("test_resnet")
    hub(monkeypatch, source)
    found = load(prepared, backbone="timm/test_resnet.r160_in1k")
    assert all(torch.equal(v, source[k]) for k, v in found.body.state_dict().items())
    assert found.weights is not None
    assert found.weights["from"] == "timm/test_resnet.r160_in1k"
    again = load(prepared, backbone="timm/test_resnet.r160_in1k")
    assert again.weights == found.weights


def test_hub_weights_that_leave_something_random_are_refused(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = {f"model.{name}": tensor for name, tensor in timm_state("test_resnet").items()}
    hub(monkeypatch, renamed)
    with pytest.raises(UserError, match=r"weights of timm/test_resnet.*cannot be had"):
        load(prepared, backbone="timm/test_resnet.r160_in1k")


def test_hub_weights_are_fitted_to_the_network_as_timm_does_it(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = timm_state("test_vit")
    hub(monkeypatch, source)
    model = {"backbone": "timm/test_vit.r160_in1k", "image_size": 64, "args": {"img_size": 64}}
    found = load(prepared, **model)
    blocks = {k: v for k, v in found.body.state_dict().items() if k.startswith("blocks")}
    assert all(torch.equal(v, source[k]) for k, v in blocks.items())
    assert found.body.state_dict()["pos_embed"].shape != source["pos_embed"].shape


def test_random_weights_are_used_on_purpose_only_and_said_so(
    prepared: Prepared, project: Path
) -> None:
    for name in (TIMM, str(project)):
        model = transfer(backbone=name, weights=None, finetune=FINETUNE)
        trained = run(prepared, model)
        assert trained.description.weights is None
        assert trained.description.kind == "transfer"
        assert trained.description.backbone == name
        assert len(trained.rows) == 2


def test_images_are_normalised_as_the_backbone_was_trained(
    prepared: Prepared, project: Path
) -> None:
    for name in ("test_efficientnet", "test_vit"):
        config = timm.get_pretrained_cfg(name)
        assert config is not None
        expects = load(prepared, backbone=f"timm/{name}", weights=None).input
        assert expects.mean == list(config.mean)
        assert expects.std == list(config.std)
        assert expects.interpolation == config.interpolation
    assert load(prepared, backbone=str(project)).input == saved.describe(project).input


def test_image_size_resizes_the_input(prepared: Prepared, base: dict[str, Any]) -> None:
    trained = run(prepared, transfer(**base, image_size=20, head=HEAD))
    expects = trained.description.input
    assert (expects.height, expects.width) == (20, 20)
    pixels = torch.from_numpy(prepared.images("val")[:2]).permute(0, 3, 1, 2)
    assert expects(pixels).shape == (2, 3, 20, 20)
    assert load(prepared, **base).input.height == 12


def test_grey_images_go_into_a_colour_backbone(grey: Prepared, base: dict[str, Any]) -> None:
    trained = run(grey, transfer(**base, head=HEAD, finetune=FINETUNE))
    assert trained.description.input.channels == 3
    assert len(trained.rows) == 5


def test_colour_images_do_not_go_into_a_grey_backbone(
    prepared: Prepared, grey: Prepared, tmp_path: Path
) -> None:
    folder = save_project(tmp_path / "grey", "resnet20", channels=1)
    assert load(grey, backbone=str(folder)).input.channels == 1
    with pytest.raises(UserError, match=r"takes grey images.*data\.channels: 1"):
        load(prepared, backbone=str(folder))


def test_a_backbone_with_dense_layers_wants_its_own_size(
    prepared: Prepared, tmp_path: Path
) -> None:
    folder = save_project(tmp_path / "vgg10", "vgg10", channels=3, size=16)
    assert load(prepared, backbone=str(folder), image_size=16).input.height == 16
    with pytest.raises(UserError, match=r"do not fit.*image_size"):
        load(prepared, backbone=str(folder))


def test_a_saved_transfer_model_needs_no_weights_to_predict_the_same(
    prepared: Prepared, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    torch.save(timm_state(), file)
    values = {"backbone": TIMM, "weights": str(file), "args": {"pad_type": "same"}}
    trained = run(prepared, transfer(**values, dropout=0.5, head=HEAD, finetune=FINETUNE))
    saved.save(tmp_path / "model", trained.network, trained.description)
    file.unlink()
    network, description = saved.load(tmp_path / "model")
    assert description == trained.description
    assert torch.equal(
        predict(network, trained.val, trained.compute),
        predict(trained.network, trained.val, trained.compute),
    )


def test_a_transfer_model_is_a_backbone_in_turn(
    prepared: Prepared, weights: Path, tmp_path: Path
) -> None:
    first = run(
        prepared, transfer(backbone=TIMM, weights=str(weights), finetune=FINETUNE, image_size=16)
    )
    saved.save(tmp_path, first.network, first.description)
    found = load(prepared, backbone=str(tmp_path))
    before, after = state(first.network.body), state(found.body)
    differing = {name for name in before if before[name] != after[name]}
    # how many batches BatchNorm has seen is not a weight: it starts anew
    assert all(name.endswith("num_batches_tracked") for name in differing)
    assert (found.input.height, found.input.mean) == (12, first.description.input.mean)


@pytest.mark.skipif(not IMAGENET.exists(), reason=f"needs {IMAGENET.name} in ../shared/weights")
def test_real_weights_load(prepared: Prepared) -> None:
    found = load(
        prepared,
        backbone="timm/mobilenetv1_100",
        weights=str(IMAGENET),
        args={"pad_type": "same"},
        image_size=32,
    )
    source = load_file(IMAGENET)
    own = found.body.state_dict()
    assert all(torch.equal(own[k], source[k]) for k in own if not k.endswith("tracked"))
    assert len(backbone.layers(found.body)) >= 14
    assert found.architecture.args == {"pad_type": "same"}


def test_a_pretrained_whitening_layer_is_kept(prepared: Prepared, tmp_path: Path) -> None:
    """It was computed anew from the new images, in whose terms the later layers do not think."""
    folder = save_project(tmp_path / "speednet", "speednet", prepared.manifest.channels, 32)
    model = transfer(backbone=str(folder), head={**HEAD, "epochs": 0}, image_size=32)
    trained = run(prepared, model)
    assert state(trained.network.body) == as_loaded(prepared, model)


def test_what_a_network_keeps_fixed_stays_so_when_it_is_finetuned(
    prepared: Prepared, tmp_path: Path
) -> None:
    folder = save_project(tmp_path / "speednet", "speednet", prepared.manifest.channels, 32)
    finetune = {**HEAD, "epochs": 1, "layers": 1.0}
    model = transfer(backbone=str(folder), finetune=finetune, image_size=32)
    whitening = next(run(prepared, model).network.body.children())
    trained = {name: x.requires_grad for name, x in whitening.named_parameters()}
    assert trained == {"weight": False, "bias": True}
