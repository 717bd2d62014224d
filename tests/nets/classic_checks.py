"""Checks that the tests of the classic families (LeNet to GoogLeNet) share."""

from __future__ import annotations

import json
from functools import cache
from math import sqrt
from pathlib import Path

import torch
from torch import Tensor, nn

import convarium
from convarium.cost.report import CostReport, CostRow


@cache
def cost_by_name(name: str) -> CostReport:
    """The catalogued network at its native size, on the meta device."""
    return convarium.measure_cost(name)


def by_layer(report: CostReport) -> dict[str, CostRow]:
    """The rows under the last word of their names; the first of equal ones."""
    rows: dict[str, CostRow] = {}
    for row in report.rows:
        rows.setdefault(row.name.rpartition(".")[2], row)
    return rows


def on_meta(name: str, **options: int) -> nn.Module:
    with torch.device("meta"):
        return convarium.create_model(name, **options)


def assert_matches_ledger(name: str) -> None:
    facts, report = convarium.model_facts(name), cost_by_name(name)
    assert (report.params, report.macs) == (facts.params.exact, facts.macs.exact)
    assert report.status == "exact"


def assert_gradient_reaches_all(model: nn.Module, x: Tensor) -> None:
    """Every parameter's gradient exists and, off the meta device, is somewhere not zero."""
    out = model(x)
    outputs = out if isinstance(out, tuple) else (out,)
    sum(o.square().sum() for o in outputs).backward()
    unreached = [name for name, p in model.named_parameters() if p.grad is None]
    if x.device.type != "meta":
        unreached += [name for name, p in model.named_parameters() if not p.grad.any()]
    assert not unreached


def assert_batch_independent(model: nn.Module, x: Tensor) -> None:
    """In eval mode a picture's output is the same alone and among others (float64, 1e-9)."""
    model = model.double().eval()
    with torch.no_grad():
        among, alone = model(x.double()), model(x[-1:].double())
    torch.testing.assert_close(among[-1:], alone, rtol=1e-9, atol=1e-12)


def assert_normal(values: Tensor, std: float) -> None:
    """Mean 0 and deviation `std`, each within five standard errors of a sample this large."""
    n = values.numel()
    assert abs(values.mean().item()) < 5 * std / sqrt(n)
    assert abs(values.std().item() - std) < 5 * std / sqrt(2 * n)


def assert_uniform(values: Tensor, bound: float) -> None:
    """Within +-bound, and of a uniform law's mean and deviation within five standard errors."""
    n, std = values.numel(), bound / sqrt(3)
    assert values.abs().max().item() <= bound * (1 + 1e-6)  # float32 rounds the bound
    assert abs(values.mean().item()) < 5 * std / sqrt(n)
    assert abs(values.std().item() - std) < 5 * std * sqrt(0.2 / n) + std / n  # kurtosis 1.8


def layer_table(shared_data: Path, stem: str) -> list[dict]:
    """The layers of an authors' definition, in order."""
    return json.loads((shared_data / "layer-tables" / f"{stem}.json").read_text())["layers"]


def dropout_rates(model: nn.Module) -> dict[str, float]:
    return {n: m.p for n, m in model.named_modules() if isinstance(m, nn.Dropout)}
