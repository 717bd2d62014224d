"""SqueezeNet against Table 1 of the paper, the authors' v1.1 and torchvision."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from compact_checks import (
    carry_by_order,
    check_counts,
    check_deviation,
    check_equal,
    check_eval_ignores_the_batch,
    check_gradient_reaches_all,
    check_layer_table,
    layer_table,
    on_meta,
    output_shapes,
    weighted,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convarium
from convarium.errors import InputError, UsageError
from convarium.nets.squeezenet import BypassFire, SqueezeNet

NAMES = convarium.list_models(family="squeezenet")
# Table 1: output size of each row (13x12 is printed behind maxpool8), and its #parameters column.
TABLE_1 = {
    "conv1": (96, 111, 14_208),
    "maxpool1": (96, 55, 0),
    "fire2": (128, 55, 11_920),
    "fire3": (128, 55, 12_432),
    "fire4": (256, 55, 45_344),
    "maxpool4": (256, 27, 0),
    "fire5": (256, 27, 49_440),
    "fire6": (384, 27, 104_880),
    "fire7": (384, 27, 111_024),
    "fire8": (512, 27, 188_992),
    "maxpool8": (512, 13, 0),
    "fire9": (512, 13, 197_184),
}
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


def fires_params(width: int) -> int:
    """Weights and biases of fire2 to fire9 behind a map of `width` channels."""
    total = 0
    for squeeze, expand in FIRES:
        total += (width + 1) * squeeze + (squeeze + 1) * expand + (9 * squeeze + 1) * expand
        width = 2 * expand
    return total


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_the_ledgers(name: str) -> None:
    check_counts(name)


def test_shapes_are_table_1s() -> None:
    shapes = output_shapes(on_meta("squeezenet1_0"), torch.empty(1, 3, 227, 227, device="meta"))
    for row, (channels, side, _) in TABLE_1.items():
        assert shapes[f"features.{row}"] == (channels, side, side), row
    assert shapes["conv10"] == (1000, 13, 13)


def test_parameters_are_table_1s() -> None:
    model = on_meta("squeezenet1_0")
    for row, (_, _, params) in TABLE_1.items():
        found = sum(p.numel() for p in model.features.get_submodule(row).parameters())
        assert found == params, row


def test_32px_counts_by_arithmetic() -> None:
    report = convarium.measure_cost("squeezenet_32px")
    assert report.params == (27 + 1) * 64 + fires_params(64) + (512 + 1) * 10
    pixels = (16 * 16, 16 * 16, 8 * 8, 8 * 8, 4 * 4, 4 * 4, 4 * 4, 4 * 4)
    macs, width = 27 * 64 * 32 * 32 + 512 * 10 * 4 * 4, 64
    for (squeeze, expand), area in zip(FIRES, pixels, strict=True):
        macs += area * squeeze * (width + 10 * expand)
        width = 2 * expand
    assert report.macs == macs


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet_complex_bypass", "squeezenet1_1"])
def test_initial_values_are_caffes(name: str) -> None:
    model = convarium.create_model(name)
    for layer in weighted(model):
        fan_in = layer.weight[0].numel()
        expected = 0.01 if layer is model.conv10 else fan_in**-0.5
        check_deviation(layer.weight.detach(), expected)
        assert not layer.bias.any()


def test_32px_initial_values_are_hes() -> None:
    for layer in weighted(convarium.create_model("squeezenet_32px")):
        check_deviation(layer.weight.detach(), (2 / layer.weight[0].numel()) ** 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_stands_before_conv10_alone(name: str) -> None:
    model = on_meta(name)
    assert [(p, m.p) for p, m in model.named_modules() if isinstance(m, nn.Dropout)] == [
        ("drop9", 0.5)
    ]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())


def test_bypass_adds_the_input_behind_the_relus() -> None:
    fire = BypassFire(8, 2, 4, 4, conv=False)
    nn.init.constant_(fire.expand1x1.bias, -1e3)
    nn.init.constant_(fire.expand3x3.bias, -1e3)
    x = -torch.rand(1, 8, 5, 5)
    assert torch.equal(fire(x), x)


def test_bypasses_stand_where_figure_2_has_them() -> None:
    kinds = {
        path.removeprefix("features."): type(m.bypass).__name__
        for path, m in on_meta("squeezenet_complex_bypass").named_modules()
        if isinstance(m, BypassFire)
    }
    odd, even = dict.fromkeys((3, 5, 7, 9), "Identity"), dict.fromkeys((2, 4, 6, 8), "Conv2d")
    assert kinds == {f"fire{i}": kind for i, kind in sorted((odd | even).items())}


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name: str) -> None:
    model = convarium.create_model(name)
    nn.init.constant_(model.conv10.bias, 1.0)  # no logit lies dead behind its ReLU
    check_gradient_reaches_all(model, torch.randn(2, 3, 48, 48))


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet_32px"])
def test_eval_ignores_the_batch(name: str) -> None:
    check_eval_ignores_the_batch(convarium.create_model(name), torch.randn(3, 3, 40, 40))


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_equals_torchvision(name: str) -> None:
    from torchvision import models

    theirs = getattr(models, name)()
    ours = convarium.create_model(name)
    carry_by_order(theirs, ours)
    check_equal(ours, theirs, torch.randn(2, 3, 63, 70))


@pytest.mark.data
def test_layers_are_the_authors(shared_data: Path) -> None:
    rows = layer_table(shared_data, "squeezenet1.1-author")
    check_layer_table(rows, convarium.measure_cost("squeezenet1_1"))


@pytest.mark.parametrize(("name", "least"), [("1_0", 21), ("1_1", 17), ("_32px", 8)])
def test_least_input(name: str, least: int) -> None:
    model = on_meta(f"squeezenet{name}").eval()
    assert model(torch.empty(1, 3, least, least, device="meta")).dim() == 2
    with pytest.raises(InputError, match=f"the least is {least}x{least}"):
        model(torch.empty(1, 3, least - 1, least, device="meta"))


def test_unknown_bypass_is_refused() -> None:
    with pytest.raises(UsageError, match="'double'"):
        SqueezeNet("double")


@settings(max_examples=8, deadline=None)
@given(
    bypass=st.sampled_from(["none", "simple", "complex"]),
    channels=st.integers(1, 6),
    classes=st.integers(1, 300),
)
def test_any_options_count_as_computed(bypass: str, channels: int, classes: int) -> None:
    with torch.device("meta"):
        model = SqueezeNet(bypass, in_channels=channels, num_classes=classes)
    expected = (49 * channels + 1) * 96 + fires_params(96) + 513 * classes
    if bypass == "complex":
        expected += 97 * 128 + 129 * 256 + 257 * 384 + 385 * 512
    assert sum(p.numel() for p in model.parameters()) == expected
    assert model(torch.empty(2, channels, 64, 64, device="meta")).shape == (2, classes)


@pytest.mark.slow
@pytest.mark.data
def test_real_weights_recognise_photographs(shared_data: Path) -> None:
    from PIL import Image
    from safetensors.torch import load_file
    from torchvision import models
    from torchvision.transforms import v2

    weights = load_file(shared_data / "weights" / "squeezenet1_1_fp16.safetensors")
    theirs = models.squeezenet1_1()
    theirs.load_state_dict({key: value.float() for key, value in weights.items()})
    model = convarium.create_model("squeezenet1_1").eval()
    carry_by_order(theirs, model)
    transform = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize(256),
            v2.CenterCrop(224),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    folder = shared_data / "imagenet-samples"
    top1 = top5 = 0
    labels = (folder / "labels.csv").read_text("utf-8").splitlines()
    for row in csv.DictReader(labels):
        with Image.open(folder / row["file"]) as picture:
            image = transform(picture.convert("RGB"))
        with torch.no_grad():
            best = model(image[None])[0].topk(5).indices.tolist()
        truth = int(row["class_index"])
        top1, top5 = top1 + (truth == best[0]), top5 + (truth in best)
    assert abs(top1 - 126) <= 1  # one picture may fall on the other side of a rounding
    assert abs(top5 - 172) <= 1
