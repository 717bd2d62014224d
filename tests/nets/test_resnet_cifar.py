"""ResNet, section 4.2: 6n+2 layers; Table 6 gives 20 .. 1202 layers and their parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import convarium
from convarium.errors import InputError, UsageError
from convarium.nets.resnet_cifar import PlainCIFAR, ResNetCIFAR, blocks_per_stage
from long_networks import DEEPEST, marked
from nets import residual_proofs as proofs

TABLE_6 = {20: "0.27M", 32: "0.46M", 44: "0.66M", 56: "0.85M", 110: "1.7M", 1202: "19.4M"}
STAGES = {"conv1": (16, 32, 32), "conv2_x": (16, 32, 32), "conv3_x": (32, 16, 16)}
STAGES |= {"conv4_x": (64, 8, 8), "fc": (10,)}
NAMES = [f"resnet{d}_cifar" for d in TABLE_6] + [f"plain{d}_cifar" for d in (20, 32, 44, 56)]


def params(n: int, channels: int = 3, classes: int = 10) -> int:
    """Closed form: 1 + 2n, 2n, 2n convolutions of 3x3, a batch norm behind each, and fc."""
    total = 9 * channels * 16 + 2 * 16
    for before, width in ((16, 16), (16, 32), (32, 64)):
        total += 9 * before * width + (2 * n - 1) * 9 * width**2 + 2 * n * 2 * width
    return total + 64 * classes + classes


@pytest.mark.parametrize("name", marked(NAMES, DEEPEST))
def test_counts_are_the_ledgers(name: str) -> None:
    assert proofs.counts(name) == proofs.ledger(name)


@pytest.mark.parametrize(("depth", "printed"), TABLE_6.items())
def test_parameters_round_to_table_6(depth: int, printed: str) -> None:
    digits = len(printed.split(".")[1]) - 1
    assert f"{params(blocks_per_stage(depth)) / 1e6:.{digits}f}M" == printed


@pytest.mark.parametrize("name", ["resnet20_cifar", "plain56_cifar"])
@pytest.mark.parametrize(("layer", "shape"), STAGES.items())
def test_shape_of_each_stage(name: str, layer: str, shape: tuple[int, ...]) -> None:
    assert proofs.output_of(name, layer) == shape


def test_depth_counts_convolutions_and_fc() -> None:
    assert [blocks_per_stage(d) for d in TABLE_6] == [3, 5, 7, 9, 18, 200]


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(UsageError, match=r"6n\+2"):
        ResNetCIFAR(depth)


@given(n=st.integers(1, 9), channels=st.integers(1, 5), classes=st.integers(1, 100))
@settings(max_examples=12, deadline=None)
@pytest.mark.parametrize("builder", [ResNetCIFAR, PlainCIFAR])
def test_parameters_have_a_closed_form(builder, n: int, channels: int, classes: int) -> None:
    with torch.device("meta"):
        net = builder(6 * n + 2, in_channels=channels, num_classes=classes)
    assert proofs.params_of(net) == params(n, channels, classes)


def test_receptive_field_of_20_layers() -> None:
    # 7 convolutions at step 1; one at step 1 and five at 2; one at step 2 and five at 4.
    side = 1 + 2 * (7 * 1 + 1 * 1 + 5 * 2 + 1 * 2 + 5 * 4)
    rows = {row.name: row for row in proofs.cost("resnet20_cifar").rows}
    assert rows["conv4_x.conv4_3.conv2"].receptive_field == side == 81


def test_no_convolution_stands_on_a_shortcut() -> None:
    rows = [row for row in proofs.cost("resnet56_cifar").rows if ".shortcut" in row.name]
    assert rows
    assert sum(row.macs + row.params for row in rows) == 0


def test_plain_is_the_same_network_without_shortcuts() -> None:
    residual, plain = proofs.on_meta("resnet20_cifar"), proofs.on_meta("plain20_cifar")
    assert list(residual.state_dict()) == list(plain.state_dict())
    assert not [row for row in proofs.cost("plain20_cifar").rows if row.kind == "add"]


def test_starts_as_he() -> None:
    proofs.assert_starts_as_he(convarium.create_model("resnet20_cifar"))


@pytest.mark.parametrize("builder", [ResNetCIFAR, PlainCIFAR])
def test_gradient_reaches_every_parameter(builder) -> None:
    proofs.assert_gradient_reaches_all(builder(14), torch.randn(4, 3, 16, 16))


@pytest.mark.parametrize("builder", [ResNetCIFAR, PlainCIFAR])
def test_eval_ignores_the_batch(builder) -> None:
    proofs.assert_eval_ignores_batch(builder(14), torch.randn(3, 3, 16, 16))


@pytest.mark.parametrize("side", [1, 7, 31])
def test_any_side_fits(side: int) -> None:
    assert ResNetCIFAR(8).eval()(torch.randn(1, 3, side, side)).shape == (1, 10)


def test_a_wrong_picture_is_refused() -> None:
    with pytest.raises(InputError, match=r"takes images \(N, 1, H, W\), not 2x3x32x32"):
        ResNetCIFAR(8, in_channels=1)(torch.randn(2, 3, 32, 32))


def _independent(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """ResNet-20 of akamaster's layout, from functions alone; option A by index."""

    def normed(x: Tensor, conv: str, bn: str, stride: int) -> Tensor:
        x = F.conv2d(x, weights[f"{conv}.weight"], stride=stride, padding=1)
        values = [weights[f"{bn}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *values)

    x = normed(x, "conv1", "bn1", 1).clamp(min=0)
    for layer, width in ((1, 16), (2, 32), (3, 64)):
        for block in range(3):
            path, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            y = normed(x, f"{path}.conv1", f"{path}.bn1", stride).clamp(min=0)
            y = normed(y, f"{path}.conv2", f"{path}.bn2", 1)
            quarter = (width - x.shape[1]) // 2
            y[:, quarter : quarter + x.shape[1]] += x[:, :, ::stride, ::stride]
            x = y.clamp(min=0)
    return x.mean((2, 3)) @ weights["linear.weight"].T + weights["linear.bias"]


def _released(shared_data: Path) -> dict[str, Tensor]:
    file = shared_data / "weights" / "resnet20-12fca82f.th"
    state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    return {key.removeprefix("module."): value for key, value in state.items()}


def _trained(shared_data: Path) -> torch.nn.Module:
    model = convarium.create_model("resnet20_cifar")
    proofs.carry_by_order(_released(shared_data), model)
    return model.eval()


@pytest.mark.data
def test_released_weights_give_the_independent_logits(shared_data: Path) -> None:
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    weights = {k: v.double() for k, v in _released(shared_data).items()}
    ours = _trained(shared_data).double()(x)
    torch.testing.assert_close(ours, _independent(weights, x), rtol=1e-10, atol=1e-10)


@pytest.fixture(scope="module")
def cifar10_test(shared_data: Path) -> tuple[Tensor, Tensor]:
    """10,000 pictures (N, 3, 32, 32), normalised as the weights' author did, and labels (N,)."""
    packed = np.load(shared_data / "cifar10" / "cifar10.npz")
    x = packed["d_test"].cumsum(2, dtype="u1").cumsum(3, dtype="u1")
    x[:, ::2] += x[:, 1:2]
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    return (torch.from_numpy(x) / 255 - mean) / std, torch.from_numpy(packed["y_test"]).long()


def _errors(model: torch.nn.Module, x: Tensor, y: Tensor) -> int:
    with torch.inference_mode():
        answers = torch.cat([model(batch).argmax(1) for batch in x.split(250)])
    return int((answers != y).sum())


@pytest.mark.data
def test_released_weights_err_as_published_on_500(shared_data: Path, cifar10_test) -> None:
    x, y = (t[::20] for t in cifar10_test)
    # 8.27 % of 500 are 41; four standard deviations of such a draw are 25.
    assert 16 <= _errors(_trained(shared_data), x, y) <= 66


@pytest.mark.data
@pytest.mark.slow
def test_released_weights_err_as_published_on_all(shared_data: Path, cifar10_test) -> None:
    assert abs(_errors(_trained(shared_data), *cifar10_test) - 827) <= 1
