"""Products with sparse matrices: one multiply-add a stored value and column."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import convarium
from convarium.errors import InputError

PLACES = torch.tensor([[0, 1, 2, 4], [1, 0, 3, 3]])
STORED = PLACES.shape[1]
LAYER = 5 * 4 * 3  # rows, inputs, outputs


def edges(device: torch.device | str = "cpu") -> Tensor:
    values = torch.ones(STORED, device=device)
    return torch.sparse_coo_tensor(PLACES.to(device), values, (5, 5), is_coalesced=True)


class Graph(nn.Module):
    """A layer of a graph network: neighbours are summed by a sparse matrix."""

    def __init__(self, function) -> None:
        super().__init__()
        self.register_buffer("edges", edges())
        self.layer, self.function = nn.Linear(4, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.edges, self.layer(x[0]))


CASES = {
    "matmul": (lambda a, x: a @ x, STORED * 3),
    "sparse.mm": (torch.sparse.mm, STORED * 3),
    "turned": (lambda a, x: a.t() @ x, STORED * 3),
    "on the right": (lambda a, x: x.T @ a, STORED * 3),
    "a vector": (lambda a, x: a @ x[:, 0], STORED),
    "addmm": (lambda a, x: torch.addmm(x, a, x), STORED * 3),
    "scaled": (lambda a, x: (2 * a) @ x, STORED * 3),
    "by rows": (lambda a, x: a.to_sparse_csr() @ x, STORED * 3),
    "by columns": (lambda a, x: a.to_sparse_csc() @ x, STORED * 3),
    "made on the way": (lambda a, x: edges(x.device) @ x, STORED * 3),
    "at its places": (
        lambda a, x: torch.sparse.sampled_addmm(a.to_sparse_csr(), x, x.T).to_dense(),
        STORED * 3,
    ),
    "made dense": (lambda a, x: a.to_dense() @ x, 5 * 5 * 3),
}


@pytest.mark.filterwarnings("ignore")  # torch's own words about its beta
@pytest.mark.parametrize(("function", "macs"), CASES.values(), ids=CASES)
def test_stored_values_alone_multiply(function, macs) -> None:
    report = convarium.measure_cost(Graph(function), (5, 4))
    assert (report.macs - LAYER, report.status, report.traced_on) == (macs, "exact", "cpu")


def test_bytes_are_those_of_values_and_places() -> None:
    rows = convarium.measure_cost(Graph(lambda a, x: a @ x), (5, 4)).rows
    assert rows[-1].bytes_read == STORED * 4 + 2 * STORED * 8 + 5 * 3 * 4


@pytest.mark.filterwarnings("ignore")
def test_of_two_sparse_ones_nobody_knows() -> None:
    report = convarium.measure_cost(Graph(lambda a, x: (a @ a).to_dense()), (5, 4))
    assert (report.macs, report.status, report.unknown_ops) == (LAYER, "lower_bound", ("mm",))


def test_memory_is_refused_in_one_sentence() -> None:
    with pytest.raises(InputError, match="how many values a sparse tensor stores"):
        convarium.predict_memory(Graph(lambda a, x: a @ x), (5, 4))
