"""Proofs that every residual family passes: counts, starts, gradients, batches, export."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

import convarium
from convarium.cost.report import CostReport

NORMS, WEIGHTED = (nn.BatchNorm2d,), (nn.Conv2d, nn.Linear)


@cache
def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return convarium.create_model(name)


@cache
def cost(name: str) -> CostReport:
    return convarium.measure_cost(name)


def counts(name: str) -> dict[str, int | None]:
    """What the ledger counts of a network, counted on ours."""
    modules = list(on_meta(name).modules())
    norms = [m for m in modules if isinstance(m, NORMS)]
    return {
        "params": cost(name).params,
        "macs": cost(name).macs,
        "of_which_bn": sum(p.numel() for m in norms for p in m.parameters()),
        "weight_layers": sum(isinstance(m, WEIGHTED) for m in modules),
    }


def ledger(name: str) -> dict[str, int | None]:
    facts = convarium.model_facts(name)
    return {
        "params": facts.params.exact,
        "macs": facts.macs.exact,
        "of_which_bn": facts.params.of_which_bn,
        "weight_layers": facts.params.weight_layers,
    }


def output_of(name: str, layer: str) -> tuple[int, ...]:
    """(C, H, W) that leaves a layer or a stage at the native input."""
    rows = [r for r in cost(name).rows if r.name == layer or r.name.startswith(f"{layer}.")]
    return rows[-1].output_shape[1:]


def assert_starts_as_he(model: nn.Module) -> None:
    """Each layer from N(0, 2 / fan-in): mean and deviation within 6 standard errors."""
    for name, module in model.named_modules():
        if isinstance(module, NORMS):
            assert bool((module.weight == 1).all()), name
            assert bool((module.bias == 0).all()), name
        if isinstance(module, WEIGHTED):
            weight = module.weight.detach().double()
            n, fan_in = weight.numel(), weight[0].numel()
            sigma = (2 / fan_in) ** 0.5
            assert abs(weight.mean().item()) < 6 * sigma / n**0.5, name
            assert abs(weight.std().item() / sigma - 1) < 6 / (2 * n) ** 0.5, name
            assert module.bias is None or bool((module.bias == 0).all()), name


def assert_gradient_reaches_all(model: nn.Module, images: Tensor) -> None:
    model.train()(images).square().sum().backward()
    missed = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not missed


def assert_eval_ignores_batch(model: nn.Module, images: Tensor) -> None:
    """One picture alone gives what it gives among others, up to float64's rounding."""
    model = shaken(model).double().eval()
    images = images.double()
    together, alone = model(images), torch.cat([model(x[None]) for x in images])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


def shaken(model: nn.Module) -> nn.Module:
    """The model with batch norms that do something: random scales, shifts and statistics."""
    for module in model.modules():
        if isinstance(module, NORMS):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def carry_by_order(source: dict[str, Tensor], target: nn.Module) -> None:
    """Values of another implementation into ours, in the order of both; the shapes must agree."""
    drop = "num_batches_tracked"
    values = [v for k, v in source.items() if not k.endswith(drop)]
    keys = [k for k in target.state_dict() if not k.endswith(drop)]
    missing = target.load_state_dict(dict(zip(keys, values, strict=True)), strict=False)
    assert all(k.endswith(drop) for k in missing.missing_keys)


def params_of(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
