"""What a paper says of a network, as frozen dataclasses. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a network was published."""

    id: str
    title: str
    authors: str
    year: int
    venue: str
    arxiv: str | None


@dataclass(frozen=True, slots=True)
class Count:
    """One counted quantity of a network: parameters, or multiply-adds at its native input.

    `exact` was counted by building the network from the paper's tables by hand; `printed` is the
    paper's own words, None where it prints none.
    """

    exact: int | None = None
    exact_from: str | None = None
    printed: str | None = None
    printed_confidence: str | None = None
    convention: str | None = None
    of_which_bn: int | None = None
    weight_layers: int | None = None
    gflops_2x: float | None = None
    released_cfg: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """One printed result: errors in percent, mAP and AP in percent too."""

    dataset: str
    protocol: str
    source: str
    confidence: str
    top1: float | None = None
    top5: float | None = None
    mAP: float | None = None  # noqa: N815 - the papers' spelling
    AP: float | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """The same or a similar network in another library, and how its counts compare."""

    library: str
    name: str
    params: int
    macs: int
    input: int
    params_equal: bool
    params_delta: int
    macs_ratio: float
    weights: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The ledger's entry of one network.

    `input` is (channels, height, width) in pixels; `confidence` is of the layer list: "sourced",
    "memory" (recalled, marked wherever it is shown) or "ours" (a row beyond the papers).
    """

    name: str
    family: str
    paper: Paper
    input: tuple[int, int, int]
    confidence: str
    params: Count
    macs: Count
    errors: tuple[ErrorRate, ...]
    layers: tuple[str, ...]
    recipe: str | None = None
    peers: tuple[Peer, ...] = ()
    claims: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    table1: dict[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A printed number that a count, or another page of the paper, contradicts."""

    id: str
    where: str
    printed: str
    counted: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """A claim of a paper that can be run again, and at what size a desktop can run it."""

    id: str
    claim: str
    source: str
    dataset: str
    published: str
    cpu_scale_version: str
    nets: tuple[str, ...]
    confidence: str


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One row of a paper's table, typed in from the paper and not from our networks.

    `kind` is one of conv, linear, max_pool, avg_pool, global_avg_pool, subsample, lrn, rbf, add,
    mean, concat. `kernel`, `stride` and `pad` are sides in pixels, None where the kind has none or
    the source does not print it; `output` is (channels, height, width), or (features,) behind the
    flattening. `confidence` is "sourced" or "memory"; `where` is the table and row.
    `inputs` names the rows that feed it ("input" is the picture) and `input` is the shape that
    comes in. `params` are its weights and biases, `bn_params` the scales and shifts of the batch
    normalisation beside it, `macs` its multiply-adds for one picture: arithmetic on the row.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    kernel: int | None = None
    stride: int | None = None
    pad: int | None = None
    groups: int = 1
    where: str = ""
    confidence: str = "sourced"
    inputs: tuple[str, ...] = ()
    input: tuple[int, ...] = ()
    params: int = 0
    bn_params: int = 0
    macs: int = 0


@dataclass(frozen=True, slots=True)
class RowTotals:
    """What the rows of one network sum to: `params` includes the `of_which_bn`."""

    params: int
    of_which_bn: int
    macs: int
    weight_layers: int


@dataclass(frozen=True, slots=True)
class Fact:
    """One number a paper prints, and where it prints it."""

    what: str  # "params", "macs", "top5_error", "depth", "receptive_field", "share of ..."
    value: float
    half_digit: float  # half of the last significant digit: "138M" -> 0.5e6, "60 million" -> 5e6
    unit: str  # "1", "MAC", "%"
    where: str  # "Table 2, row D"
    confidence: str = "sourced"

    def agrees(self, measured: float) -> bool:
        """True when the measured number, rounded as the paper rounds, is the printed one."""
        return abs(measured - self.value) <= self.half_digit
