"""Checks that the tests of SqueezeNet, MobileNet, DenseNet, FractalNet and Darknet share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import convarium
from convarium.cost.report import CostReport


def on_meta(name: str, **options: int) -> nn.Module:
    with torch.device("meta"):
        return convarium.create_model(name, **options)


def check_counts(name: str) -> CostReport:
    """Parameters, multiply-adds, share of batch norm and weighted layers are the ledger's."""
    facts, report, model = convarium.model_facts(name), convarium.measure_cost(name), on_meta(name)
    assert (report.params, report.macs) == (facts.params.exact, facts.macs.exact)
    assert report.status == "exact"
    if facts.params.of_which_bn is not None:
        assert facts.params.of_which_bn == norm_params(model)
    if facts.params.weight_layers is not None:
        assert facts.params.weight_layers == len(weighted(model))
    return report


def weighted(model: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def norm_params(model: nn.Module) -> int:
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    return sum(p.numel() for m in norms for p in m.parameters())


def output_shapes(model: nn.Module, x: Tensor) -> dict[str, tuple[int, ...]]:
    """(C, H, W) of what each module gives, by path, in one eval pass on meta."""
    shapes: dict[str, tuple[int, ...]] = {}

    def keep(path: str) -> Any:
        return lambda _module, _inputs, output: shapes.__setitem__(path, tuple(output.shape[1:]))

    hooks = [m.register_forward_hook(keep(path)) for path, m in model.named_modules()]
    model.eval()(x)
    for hook in hooks:
        hook.remove()
    return shapes


def check_gradient_reaches_all(model: nn.Module, x: Tensor) -> None:
    model.train()(x).square().sum().backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def check_eval_ignores_the_batch(model: nn.Module, x: Tensor) -> None:
    """The first picture's logits are the same alone and among others."""
    model.double().eval()
    with torch.no_grad():
        torch.testing.assert_close(model(x.double())[:1], model(x[:1].double()))


def carry_by_order(source: nn.Module, target: nn.Module) -> None:
    """Copies `source`'s state into `target`, whose tensors come in the same order."""
    values, keys = source.state_dict().values(), target.state_dict()
    target.load_state_dict(dict(zip(keys, values, strict=True)))


def shake(model: nn.Module) -> None:
    """Draws all that a fresh network has at 0 or 1, so that a swap of two of them shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def check_equal(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    """Equal logits in float64, to 1e-10 of their largest."""
    ours.double().eval()
    theirs.double().eval()
    with torch.no_grad():
        a, b = ours(x.double()), theirs(x.double())
    assert a.std() > 0
    assert (a - b).abs().max() <= 1e-10 * b.abs().max()


def layer_table(shared_data: Path, name: str) -> list[dict[str, Any]]:
    """Weighted rows of an authors' layer table."""
    table = json.loads((shared_data / "layer-tables" / f"{name}.json").read_text("utf-8"))
    rows = table["layers"]
    return [row for row in rows if row["type"] in ("Convolution", "convolutional", "InnerProduct")]


def check_layer_table(rows: list[dict[str, Any]], report: CostReport) -> None:
    """Each convolution in order: channels, side and multiply-adds; global 1x1 rows are linear."""
    ours = [row for row in report.rows if row.kind in ("Conv2d", "Linear")]
    assert len(ours) == len(rows)
    for row, theirs in zip(ours, rows, strict=True):
        shape = tuple(theirs["out_shape"])
        expected = shape[:1] if row.kind == "Linear" else shape
        assert row.output_shape[1:] == expected, row.name
        assert row.macs == theirs["macs"], row.name


def check_deviation(values: Tensor, expected: float) -> None:
    """Mean 0 and the expected deviation, within five standard errors and a hundredth."""
    spread = 5 / values.numel() ** 0.5
    assert abs(values.mean().item()) <= expected * spread
    assert abs(values.std().item() / expected - 1) <= spread + 0.01
