"""Stages by the papers' names: their maps, torchvision's extractor, and freezing."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

import convarium
from convarium import catalog
from convarium.errors import UsageError
from convarium.verify.engine import known_rows
from convarium.verify.matching import match
from convarium.verify.network import build
from interop.peers import randomise

# Network, side in pixels, a stage by the paper's name, its maps by the paper's table.
STAGES = (
    ("lenet5", 32, "c3", (16, 10, 10)),
    ("alexnet_2gpu", 227, "conv5", (256, 13, 13)),
    ("alexnet_owt", 224, "conv3", (384, 13, 13)),
    ("zfnet", 224, "conv2", (256, 26, 26)),
    ("nin_cifar10", 32, "cccp4", (192, 16, 16)),
    ("vgg_d", 224, "conv3_1", (256, 56, 56)),
    ("googlenet", 224, "inception_4e", (832, 14, 14)),
    ("resnet50", 224, "conv4_x", (1024, 14, 14)),
    ("resnet20_cifar", 32, "conv3_x", (32, 16, 16)),
    ("preact_resnet18", 224, "conv3_x", (128, 28, 28)),
    ("wrn_16_4", 32, "conv4_x", (256, 8, 8)),
    ("resnext50_32x4d", 224, "conv5_x", (2048, 7, 7)),
    ("stochastic_depth_110", 32, "conv3_x", (32, 16, 16)),
    ("fractalnet20_c3_cifar", 32, "block2", (128, 16, 16)),
    ("densenet121", 224, "dense_block2", (512, 28, 28)),
    ("squeezenet1_1", 224, "fire5", (256, 27, 27)),
    ("mobilenet_v1_100_224", 224, "conv7_pw", (512, 14, 14)),
    ("darknet53", 256, "stage3", (256, 32, 32)),
)


def _on_meta(name: str, side: int) -> tuple[nn.Module, torch.Tensor]:
    with torch.device("meta"):
        model = convarium.create_model(name).eval()
        return model, torch.empty(2, model.in_channels, side, side)


@pytest.mark.parametrize(("name", "side", "stage", "maps"), STAGES)
def test_a_stage_by_the_papers_name(name, side, stage, maps) -> None:
    model, x = _on_meta(name, side)
    assert convarium.features_at(model, x, [stage])[stage].shape == (2, *maps)


@pytest.mark.parametrize(("name", "side", "stage", "maps"), STAGES)
def test_torchvisions_extractor(name, side, stage, maps) -> None:
    from torchvision.models.feature_extraction import create_feature_extractor

    model, x = _on_meta(name, side)
    path = next(p for p, _ in model.named_modules() if p.rpartition(".")[2] == stage)
    extractor = create_feature_extractor(model, {path: "maps"}, suppress_diff_warning=True).eval()
    height = extractor(x)["maps"].shape[2:]
    assert height == maps[1:]


@pytest.mark.parametrize("name", ["vgg_a_32px", pytest.param("vgg_d", marks=pytest.mark.slow)])
def test_torchvisions_extractor_gives_every_layer_of_vgg_by_its_name(name: str) -> None:
    """Of torch's own layers it strips "_1" and counts anew; the forward pass tells them apart."""
    from torchvision.models.feature_extraction import create_feature_extractor

    model = convarium.create_model(name).eval()
    x = torch.randn(1, 3, *2 * (224 if name == "vgg_d" else 32,))
    paths = [f"features.{layer}" for layer, _ in model.features.named_children()]
    extractor = create_feature_extractor(model, paths, suppress_diff_warning=True).eval()
    with torch.no_grad():
        found = extractor(x)
        for layer, module in model.features.named_children():
            x = module(x)
            assert torch.equal(found[f"features.{layer}"], x), layer


def test_maps_are_those_of_the_forward_pass() -> None:
    model = convarium.create_model("squeezenet1_1").eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        seen = convarium.features_at(model, x, ["maxpool5", "features.fire9"])
        rest = model.features[9:](seen["maxpool5"])
    assert list(seen) == ["maxpool5", "features.fire9"]
    assert torch.equal(rest, seen["features.fire9"])


@pytest.mark.parametrize(
    ("name", "path"),
    [("fractalnet_thin_c2", "block4"), ("stochastic_depth_110", "conv4_x.conv4_18.conv2")],
)
def test_what_draws_its_paths_is_extracted_whole_and_does_not_train(name: str, path: str) -> None:
    """torchvision records both modes: a path that happens to be dropped must not be missing."""
    from torchvision.models.feature_extraction import create_feature_extractor

    model, x = _on_meta(name, 32)
    extractor = create_feature_extractor(model, {path: "maps"}, suppress_diff_warning=True)
    maps = convarium.features_at(model, x, [path])[path]
    assert extractor.eval()(x)["maps"].shape == maps.shape
    with pytest.raises(UsageError, match=r"draws its paths anew .* call its eval\(\)"):
        extractor.train()(x)


WHOLE_FAMILIES = ("densenet", "squeezenet", "mobilenet", "darknet", "googlenet")
# The two towers of AlexNet run side by side: their rows are two layers each.
EVERY_STAGE = [
    name
    for name, row in catalog.CATALOG.items()
    if (row.family in WHOLE_FAMILIES or name in [stage[0] for stage in STAGES])
    and name != "alexnet_2gpu"
]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EVERY_STAGE if known_rows(name)])
def test_every_stage_has_the_shape_of_the_papers_row(name: str) -> None:
    """By its path with `features_at` and, leaf by leaf, with torchvision's extractor."""
    from torchvision.models.feature_extraction import create_feature_extractor

    with torch.device("meta"):
        model = convarium.create_model(name).eval()
        x = torch.empty(2, *convarium.model_facts(name).input)
    rows = known_rows(name)
    network = build(name, convarium.model_facts(name).input)
    pairs = zip(rows, match(rows, network.layers), strict=True)
    # A join is no module: its block's output is what it joins, but for a layer of DenseNet.
    joins = () if catalog.find(name).family == "densenet" else ("add", "concat")
    paths = [path for path, _ in model.named_modules() if path]
    said = {
        path if path in paths else path.rpartition(".")[0]: row.output
        for row, found in pairs
        for path in [layer.name for layer in found if len(found) == 1]
        if path in paths or (row.kind in joins and "." in path)  # the network's own has no path
        if not path.startswith("aux")  # of training
    }
    seen = convarium.features_at(model, x, said)
    # A row of one map a class may be written as a vector.
    assert {path: _plain(maps.shape[1:]) for path, maps in seen.items()} == {
        path: _plain(output) for path, output in said.items()
    }
    leaves = [path for path in said if not list(model.get_submodule(path).children())]
    assert len(leaves) > len(rows) / 3
    extractor = create_feature_extractor(model, {p: p for p in leaves}, suppress_diff_warning=True)
    found = extractor.eval()(x)
    assert all(found[path].shape == seen[path].shape for path in leaves)


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[:1] if set(shape[1:]) == {1} else shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_STAGE)
def test_a_frozen_row_takes_all_that_runs_before_it(name: str) -> None:
    """And nothing that runs behind it."""
    with torch.device("meta"):
        model = convarium.create_model(name).eval()
        x = torch.empty(2, *convarium.model_facts(name).input)
    order: list[str] = []
    for path, module in model.named_modules():
        if list(module.parameters(recurse=False)):
            module.register_forward_hook(lambda *_, path=path: order.append(path))
    model(x)
    rows = [name for name, _ in model.named_children()]
    rows += [
        f"features.{name}" for name, _ in getattr(model, "features", nn.Module()).named_children()
    ]
    for stage in rows:
        inside = [place for place, path in enumerate(order) if f"{path}.".startswith(f"{stage}.")]
        if not inside:
            continue
        model.requires_grad_(True)
        convarium.freeze(model, stage)
        still = {
            name.rpartition(".")[0] for name, p in model.named_parameters() if not p.requires_grad
        }
        assert still == set(order[: inside[-1] + 1])


def test_a_misspelt_stage_gets_suggestions() -> None:
    model, x = _on_meta("squeezenet1_1", 64)
    with pytest.raises(UsageError, match="Did you mean fire5"):
        convarium.features_at(model, x, ["fire_5"])


def test_a_name_of_several_stages() -> None:
    model, x = _on_meta("squeezenet1_1", 64)
    with pytest.raises(UsageError, match="8 stages are called 'squeeze1x1'"):
        convarium.features_at(model, x, ["squeeze1x1"])


def test_a_stage_that_does_not_run() -> None:
    model, x = _on_meta("googlenet_aux", 224)
    with pytest.raises(UsageError, match="gave no tensor"):
        convarium.features_at(model, x, ["aux1.fc"])


@pytest.mark.parametrize(
    ("name", "stage", "fixed", "free"),
    [
        (
            "resnet20_cifar",
            "conv3_x",
            "conv1 bn1 conv2_x.conv2_1.conv1 conv3_x.conv3_3.bn2",
            "conv4_x fc",
        ),
        (
            "googlenet",
            "inception_3b",
            "stem.conv2 inception_3a inception_3b",
            "inception_4a linear",
        ),
        ("squeezenet1_1", "fire5", "features.conv1 features.fire5", "features.fire6 conv10"),
        ("resnet18_b", "conv2_1", "conv1 conv2_x.conv2_1", "conv2_x.conv2_2 conv3_x fc"),
        (
            "alexnet_2gpu",
            "conv2",
            "tower1.conv1 tower2.conv1 tower2.conv2",
            "tower1.conv3 tower2.fc6 fc8",
        ),
    ],
)
def test_freeze(name: str, stage: str, fixed: str, free: str) -> None:
    with torch.device("meta"):
        model = convarium.create_model(name)
    count = convarium.freeze(model, stage)
    still = [p for p in model.parameters() if not p.requires_grad]
    assert count == sum(p.numel() for p in still)
    for path in fixed.split():
        assert not any(p.requires_grad for p in model.get_submodule(path).parameters())
    for path in free.split():
        assert all(p.requires_grad for p in model.get_submodule(path).parameters())


def test_frozen_statistics_stay_and_the_rest_learns() -> None:
    model = convarium.create_model("resnet20_cifar")
    randomise(model)
    keys = list(model.state_dict())
    convarium.freeze(model, "conv3_x")
    model.train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    model(torch.randn(4, 3, 32, 32)).sum().backward()
    after = model.state_dict()
    assert list(after) == keys
    assert torch.equal(
        before["conv3_x.conv3_1.bn1.running_mean"], after["conv3_x.conv3_1.bn1.running_mean"]
    )
    assert not torch.equal(
        before["conv4_x.conv4_1.bn1.running_mean"], after["conv4_x.conv4_1.bn1.running_mean"]
    )
    assert model.conv1.weight.grad is None
    assert model.fc.weight.grad is not None
    assert pickle.loads(pickle.dumps(model)).training
