"""The Gauss-Newton diagonal against the Hessian, and the step that it gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convarium.errors import UsageError
from convarium.recipes import Recipe
from convarium.train.levenberg import MU, Levenberg, gauss_newton_diagonal
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
