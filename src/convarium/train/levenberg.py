"""LeNet-5's stochastic diagonal Levenberg-Marquardt: LeCun et al. 1998, appendix C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vjp, vmap

from convarium.nets.lenet import EuclideanRBF

MU = 0.02  # appendix C and section III.B
PATTERNS = 500  # the second derivatives are those of so many pictures, anew before each pass
AT_ONCE = 20


class Levenberg(torch.optim.Optimizer):
    """Each parameter k has its own rate, eta / (mu + h_kk); eta is the group's `lr`.

    `state[p]["curvature"]` holds h_kk, which `set_curvature` gives; 0 until then.
    """

    def __init__(self, groups: Any, *, lr: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update by the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                gradient = p.grad + group["weight_decay"] * p if group["weight_decay"] else p.grad
                h = self.state[p].get("curvature", torch.zeros_like(p))
                p.addcdiv_(gradient, MU + h, value=-group["lr"])

    def set_curvature(self, model: nn.Module, curvature: dict[str, Tensor]) -> None:
        """Takes h_kk by parameter name."""
        for name, p in model.named_parameters():
            if name in curvature:
                self.state[p]["curvature"] = curvature[name]


def gauss_newton_diagonal(
    model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """The diagonal of the Gauss-Newton matrix of the mean loss, by parameter name.

    With J the Jacobian of a picture's logits and H the loss's Hessian by the logits, it is the mean
    of diag(J^T H J): exact, where appendix C's recursion (eq. 38 to 40) leaves out what the
    uses of a shared weight have in common. A last layer of squared distances belongs to the loss,
    which is convex in what it takes: in the distances themselves equation 9 hardly curves.

    Args:
        model: gives logits (1, classes) of one picture; no batch norm in train mode.
        images: (N, C, H, W) on the model's device.
        labels: (N,) int64.
        loss: mean loss of logits (N, classes), convex in them or in the place that distances are
            taken of.
    """
    with _distances_apart(model) as logits_of:
        return _diagonal(model, images, labels, lambda z, label: loss(logits_of(z), label))


@contextmanager
def _distances_apart(model: nn.Module) -> Iterator[Callable[[Tensor], Tensor]]:
    """Within, `model` gives what its layer of distances takes; yields that layer, or nothing's."""
    layer = next((m for m in model.modules() if isinstance(m, EuclideanRBF)), None)
    if layer is None:
        yield nn.Identity()
        return
    layer.__dict__["forward"] = nn.Identity()
    try:
        yield partial(EuclideanRBF.forward, layer)
    finally:
        del layer.__dict__["forward"]


def _diagonal(
    model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    def squares(image: Tensor, label: Tensor) -> dict[str, Tensor]:
        def answer(parameters: dict[str, Tensor]) -> Tensor:
            outputs = functional_call(model, parameters, (image[None],))
            return (outputs[0] if isinstance(outputs, (tuple, list)) else outputs)[0]

        def by_answer(z: Tensor) -> Tensor:
            return loss(z[None], label[None])

        found, pull = vjp(answer, trained)[:2]
        values, vectors = torch.linalg.eigh(jacrev(jacrev(by_answer))(found))
        roots = vectors.mT * values.clamp_min(0).sqrt()[:, None]  # their squares' sum is H
        (rows,) = vmap(pull)(roots)  # each (answers, *parameter)
        return {name: row.square().sum(0) for name, row in rows.items()}

    sums = {name: torch.zeros_like(p) for name, p in trained.items()}
    for part in torch.arange(len(images), device=images.device).split(AT_ONCE):
        for name, rows in vmap(squares)(images[part], labels[part]).items():
            sums[name] += rows.sum(0)
    return {name: total / len(images) for name, total in sums.items()}
