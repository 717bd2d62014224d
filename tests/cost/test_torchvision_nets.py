"""Other people's networks: torchvision's own printed counts, and sums over named layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from convarium.cost.report import CostReport
from convarium.cost.sources import find

COMMON = (
    *("alexnet", "vgg16", "resnet50", "densenet121"),
    *("mobilenet_v2", "shufflenet_v2_x1_0", "squeezenet1_1"),
)
BUILDERS = models.list_models(module=models)
# One builder a family by default, the others take a minute and more: RegNets read their initial
# values, so they are built with them.
SOME = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s"),
    *("googlenet", "inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_large"),
    *("regnet_y_400mf", "resnet50", "resnext50_32x4d", "shufflenet_v2_x1_0", "squeezenet1_0"),
    *("swin_t", "swin_v2_t", "vgg11_bn", "vit_b_16", "vit_h_14", "wide_resnet50_2"),
)


def priced(name: str, *, training: bool = False) -> CostReport:
    return find(f"torchvision:{name}").cost(None, batch_size=1, training=training)


def layer_macs(name: str) -> list[int]:
    """MACs of every convolution and linear layer, from its weight and the side of its output."""
    with torch.device("meta"):
        model = models.get_model(name, weights=None).eval()
    found: list[int] = []

    def note(module: Any, args: Any, output: torch.Tensor) -> None:
        found.append(output[0, 0].numel() * module.weight.numel())

    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(note)
    model(torch.empty(1, 3, 224, 224, device="meta"))
    return [n for n in found if n]


@pytest.mark.parametrize("name", COMMON)
def test_seven_common_networks(name: str) -> None:
    report = priced(name)
    assert report.status == "exact"
    assert report.macs == sum(layer_macs(name))


@pytest.mark.parametrize("name", COMMON)
def test_torchs_own_counter_agrees_on_the_forward_pass(name: str) -> None:
    with torch.device("meta"):
        model = models.get_model(name, weights=None).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, 224, 224, device="meta"))
    assert priced(name).macs * 2 == counter.get_total_flops()


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x1_0", "resnext50_32x4d"])
def test_training_is_twice_the_forward_pass_without_the_first_layers_input(name: str) -> None:
    """A layer's backward pass has two products of its forward size: for its input and its weight.

    The picture needs no gradient, so the first convolution has one. Groups change nothing: each
    output map's gradient meets the same maps as in the forward pass. (torch's counter takes the
    weight's gradient of a depthwise convolution as that of a full one.)
    """
    layers = layer_macs(name)
    assert priced(name, training=True).macs_backward == 2 * sum(layers) - layers[0]


def _check(name: str) -> None:
    """Rows add up; parameters and GMACs are those that torchvision prints beside its weights."""
    report = priced(name)
    assert (report.status, report.unknown_ops) == ("exact", ())
    for key in ("params", "macs", "bytes_read", "bytes_written"):
        assert getattr(report, key) == sum(getattr(row, key) for row in report.rows)
    side = report.input_size[-1]
    printed = [
        weights.meta
        for weights in models.get_model_weights(name)
        if weights.transforms().crop_size[0] == side
    ]
    counts = {(meta["num_params"], meta["_ops"]) for meta in printed}
    params = report.params - (_AUXILIARY if name == "googlenet" else 0)
    assert any(
        params == known and abs(report.macs / 1e9 - ops) <= 0.5e-3 + 1e-9 for known, ops in counts
    )


# GoogLeNet's two heads, which torchvision's released weights leave out: a 1x1 convolution to 128
# maps with batch norm, 2048 -> 1024 -> 1000 linear.
_AUXILIARY = sum(
    128 * maps + 2 * 128 + 2048 * 1024 + 1024 + 1024 * 1000 + 1000 for maps in (512, 528)
)


@pytest.mark.parametrize("name", SOME)
def test_a_builder_of_each_family(name: str) -> None:
    _check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BUILDERS if name not in SOME])
def test_every_other_builder(name: str) -> None:
    _check(name)


@pytest.mark.parametrize("name", ["r3d_18", "s3d", "mvit_v2_s"])
def test_videos_of_sixteen_frames(name: str) -> None:
    """GMACs are those that torchvision prints beside its weights."""
    report = priced(name)
    meta = next(iter(models.get_model_weights(name))).meta
    assert report.params == meta["num_params"]
    assert report.status == "exact"
    assert abs(report.macs / 1e9 - meta["_ops"]) <= 0.5e-3


@pytest.mark.parametrize(
    "name", ["deeplabv3_resnet50", "fcn_resnet50", "lraspp_mobilenet_v3_large"]
)
def test_segmenters_are_built_without_a_download(name: str, monkeypatch) -> None:
    """Their builders fetch a backbone unless told not to; parameters are torchvision's own."""

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    report = priced(name)
    assert (report.status, report.traced_on) == ("exact", "meta")
    assert 0 < report.macs == sum(row.macs for row in report.rows)
    # Without the auxiliary head, which the released weights have and a net from nothing has not.
    with torch.device("meta"):
        model = models.get_model(name, weights=None, weights_backbone=None)
    assert report.params == sum(p.numel() for p in model.parameters())
