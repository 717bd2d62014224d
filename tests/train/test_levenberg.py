"""The Gauss-Newton diagonal against the Hessian, and the step that it gives."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convarium
from convarium.errors import UsageError
from convarium.nets.lenet import EuclideanRBF
from convarium.recipes import Recipe
from convarium.recipes.papers import PAPERS
from convarium.train.levenberg import MU, Levenberg, gauss_newton_diagonal
from convarium.train.losses import loss_of
from convarium.train.optimizers import make_optimizer


def test_on_a_linear_network_it_is_the_hessians_diagonal() -> None:
    model, images = nn.Linear(3, 4).double(), torch.randn(7, 3, dtype=torch.float64)
    labels = torch.arange(7) % 4

    def loss(weight: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(F.linear(images, weight, model.bias), labels)

    hessian = torch.autograd.functional.hessian(loss, model.weight.detach())
    expected = hessian.reshape(12, 12).diagonal().reshape(4, 3)
    found = gauss_newton_diagonal(model, images, labels, F.cross_entropy)
    torch.testing.assert_close(found["weight"], expected)


@pytest.mark.parametrize("spread", [0.01, 1.0])
def test_behind_distances_it_is_the_hessians_diagonal(spread: float) -> None:
    # Equation 9 is convex in what the distances are taken of, here a linear layer's outputs. Far
    # from all centres it is one squared distance, which curves; by the distances nothing does.
    torch.manual_seed(0)
    centres = spread * torch.randn(3, 4, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(3, 4), EuclideanRBF(centres)).double()
    images, labels = torch.randn(7, 3, dtype=torch.float64), torch.arange(7) % 3

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        rubbish = torch.full((len(logits), 1), -1.0, dtype=logits.dtype)
        all_logits = torch.cat([logits, rubbish], 1)
        return (all_logits.logsumexp(1) - logits.gather(1, labels[:, None])[:, 0]).mean()

    def by_weight(weight: torch.Tensor) -> torch.Tensor:
        return loss(model[1](F.linear(images, weight, model[0].bias)), labels)

    hessian = torch.autograd.functional.hessian(by_weight, model[0].weight.detach())
    found = gauss_newton_diagonal(model, images, labels, loss)
    torch.testing.assert_close(found["0.weight"], hessian.reshape(12, 12).diagonal().reshape(4, 3))
    assert torch.equal(model(images), EuclideanRBF.forward(model[1], model[0](images)))


def test_the_rates_of_lenet_5_lie_where_the_paper_has_them() -> None:
    # Section III.B: with eta 0.0005 they lie between 7e-5 and 0.016. The least is f6's: behind a
    # squashing unit of slope A * S its bias has 2 (A S)^2 as second derivative at most.
    torch.manual_seed(0)
    model = convarium.create_model("lenet5")
    images, labels = torch.rand(20, 1, 32, 32), torch.arange(20) % 10
    recipe = PAPERS["lenet_mnist"]
    found = gauss_newton_diagonal(model, images, labels, partial(loss_of, recipe=recipe))
    slope = 1.7159 * 2 / 3
    assert found["f6.bias"].max() <= 2 * slope**2 + 1e-5
    assert found["f6.bias"].min() > 0.99 * 2 * slope**2
    assert 7e-5 < 0.0005 / (MU + found["f6.bias"].max()) < 0.016


def test_it_is_the_sum_over_the_jacobian_of_a_shared_weight() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)).double()
    images, labels = torch.randn(5, 1, 4, 4, dtype=torch.float64), torch.arange(5) % 3
    found = gauss_newton_diagonal(model, images, labels, F.cross_entropy)
    expected = torch.zeros_like(model[0].weight)
    for image in images:
        logits = model(image[None])[0]
        p = logits.softmax(0).detach()
        rows = [torch.autograd.grad(z, model[0].weight, retain_graph=True)[0] for z in logits]
        jacobian = torch.stack(rows)
        outer = torch.diag(p) - p[:, None] * p  # the loss's Hessian by the logits
        expected += torch.einsum("aoihw,ab,boihw->oihw", jacobian, outer, jacobian) / 5
    torch.testing.assert_close(found["0.weight"], expected)


def test_a_step_is_eta_over_mu_and_curvature() -> None:
    layer = nn.Linear(1, 1, bias=False)
    optimizer = Levenberg(layer.parameters(), lr=0.1)
    optimizer.set_curvature(layer, {"weight": torch.tensor([[0.5]])})
    before = layer.weight.item()
    layer.weight.grad = torch.tensor([[2.0]])
    optimizer.step()
    assert abs(layer.weight.item() - (before - 0.1 * 2 / (MU + 0.5))) < 1e-6


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (nn.BatchNorm2d(4), "1 is BatchNorm2d"),
        (nn.Dropout(0.5), "1 is Dropout"),
        (nn.Dropout2d(0.5), "1 is Dropout2d"),
        (nn.ReLU(), None),
    ],
)
def test_layers_that_it_cannot_look_through_are_refused(layer, found) -> None:
    """A picture alone says nothing of what these layers make of a batch."""
    recipe = Recipe("r", lr=1e-4, epochs=1, optimizer="sdlm")
    model = nn.Sequential(nn.Conv2d(1, 4, 3), layer, nn.Flatten(), nn.Linear(4, 2))
    if found is None:
        assert isinstance(make_optimizer(model, recipe), Levenberg)
    else:
        with pytest.raises(UsageError, match=found):
            make_optimizer(model, recipe)
