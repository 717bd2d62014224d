"""A network's price at one input size: rows that add up exactly to the totals."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from torch import nn

from convarium.cost.macs import count_products
from convarium.errors import InputError
from convarium.trace import Op, TraceRow, trace_anyhow


class CostRow(NamedTuple):
    """One call of a leaf, or of an operator outside any leaf.

    `activation_bytes` are those of its outputs at the report's batch size. `macs_backward` are
    those of the gradients, 0 unless the report is of training. `bytes_read` and `bytes_written`
    are those of every operator's inputs (parameters too) and outputs, views excepted.
    `receptive_field` is a side in input pixels, of the channel that sees most, and
    `receptive_field_min` of the one that sees least; `rf_stride` is the step in input pixels from
    one output pixel to the next, `rf_offset` the centre of what the first one sees, in pixels from
    the centre of the picture's first. All four are None where the row sees the whole picture.
    `inputs` has the places in the report of the rows that feed this one.
    `kept_bytes` are what autograd keeps for the backward pass because of this row, each storage
    once, without parameters and inputs; None unless the report is of training, or where it is not
    known without computing.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    params: int
    macs: int
    activation_bytes: int
    receptive_field: int | None
    macs_backward: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    receptive_field_min: int | None = None
    rf_stride: float | None = None
    rf_offset: float | None = None
    inputs: tuple[int, ...] = ()
    kept_bytes: int | None = None

    @property
    def flops(self) -> int:
        """Two a multiply-add, of the forward pass."""
        return 2 * self.macs

    @property
    def flops_backward(self) -> int:
        """Two a multiply-add, of the gradients."""
        return 2 * self.macs_backward

    @property
    def intensity(self) -> float:
        """FLOPs of the forward pass per byte read or written."""
        return self.flops / max(1, self.bytes_read + self.bytes_written)


@dataclass(frozen=True, slots=True)
class CostReport:
    """What `measure_cost` gives. `macs` are the forward pass's multiply-adds; FLOPs are twice that.

    `status` is "exact", or "lower_bound" when an operator without a formula was met: its name is
    then in `unknown_ops`. `mode` is the forward pass that was traced, "train" or "eval";
    `traced_on` is "meta", "fake" or a device, see `convarium.trace.trace_anyhow`.
    The peaks are predictions of `convarium.predict_memory` for the CPU, None unless asked for;
    `peak_note` says why where one cannot be had. `precision` is that of `kept_bytes` and the peaks;
    everything else is counted in the model's own.
    """

    name: str
    input_size: tuple[int, ...]
    batch_size: int
    mode: str
    traced_on: str
    params: int
    macs: int
    status: str
    unknown_ops: tuple[str, ...]
    rows: tuple[CostRow, ...]
    macs_backward: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    inference_peak_bytes: int | None = None
    training_peak_bytes: int | None = None
    optimizer: str | None = None
    precision: str = "fp32"
    peak_note: str | None = None

    @property
    def flops(self) -> int:
        """Two a multiply-add, of the forward pass."""
        return 2 * self.macs

    @property
    def flops_backward(self) -> int:
        """Two a multiply-add, of the gradients."""
        return 2 * self.macs_backward

    @property
    def activation_bytes(self) -> int:
        """Bytes of all rows' outputs."""
        return sum(row.activation_bytes for row in self.rows)

    @property
    def kept_bytes(self) -> int | None:
        """What autograd keeps for the backward pass; None where no row knows."""
        known = [row.kept_bytes for row in self.rows if row.kept_bytes is not None]
        return sum(known) if known else None

    @property
    def arithmetic_intensity(self) -> float:
        """FLOPs of the forward pass per byte read or written, operator by operator."""
        return self.flops / max(1, self.bytes_read + self.bytes_written)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as the command line prints them with --json."""
        rows = [{**row._asdict(), **_derived(row, ROW_DERIVED)} for row in self.rows]
        return {**asdict(replace(self, rows=())), "rows": rows, **_derived(self, DERIVED)}


ROW_DERIVED = ("flops", "flops_backward", "intensity")
DERIVED = ("flops", "flops_backward", "arithmetic_intensity", "activation_bytes", "kept_bytes")


def _derived(item: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: getattr(item, key) for key in keys}


def cost_of(
    model: nn.Module,
    input_size: tuple[int, ...],
    *,
    name: str,
    batch_size: int = 1,
    training: bool = False,
    mode: str | None = None,
    device: str = "meta",
) -> CostReport:
    """Traces `model` once at (batch, *input_size) and prices every row.

    `training` counts the backward pass too; `mode` is the forward pass's, "train" or "eval", and
    follows `training` when it is None.
    """
    mode = mode or ("train" if training else "eval")
    shape = (batch_size, *input_size)
    rows, way = trace_anyhow(model, shape, mode=mode, grad=training, device=device)
    prices = _Prices(training=training)
    priced = tuple(map(prices.row, rows))
    report = CostReport(
        name=name,
        input_size=tuple(input_size),
        batch_size=batch_size,
        mode=mode,
        traced_on=way,
        params=sum(row.params for row in priced),
        macs=sum(row.macs for row in priced),
        status="lower_bound" if prices.unknown else "exact",
        unknown_ops=tuple(prices.unknown),
        rows=priced,
        macs_backward=sum(row.macs_backward for row in priced),
        bytes_read=sum(row.bytes_read for row in priced),
        bytes_written=sum(row.bytes_written for row in priced),
    )
    return with_kept(report, model) if training else report


def with_kept(report: CostReport, model: nn.Module, precision: str = "fp32") -> CostReport:
    """The report with what autograd keeps of each row; as it was where the pass cannot be had."""
    from convarium.cost.memory import kept_bytes  # of no use to a count without training

    shape = (report.batch_size, *report.input_size)
    try:
        kept = kept_bytes(model, shape, report.mode, precision)
    except InputError:
        return report
    calls: Counter[str] = Counter()
    found = []
    for row in report.rows:
        found.append(row._replace(kept_bytes=kept.pop((row.name, calls[row.name]), 0)))
        calls[row.name] += 1
    # The CPU takes some operators apart another way than the traced device: these have no row.
    others = [
        CostRow(name, "kept", (), 0, 0, 0, None, kept_bytes=n) for (name, _), n in kept.items()
    ]
    return replace(report, rows=(*found, *others), precision=precision)


class _Prices:
    """What operators cost, each kind of call once: a trace writes equal calls down as one.

    `unknown` has the names of those without a formula, in the order met.
    """

    def __init__(self, *, training: bool) -> None:
        self._training = training
        self._known: dict[int, _Price] = {}  # by the call's identity
        self.unknown: dict[str, None] = {}

    def row(self, row: TraceRow) -> CostRow:
        """The row with the prices of its operators."""
        if len(row.ops) == 1:
            price = self._of(row.ops[0])
        else:
            price = _Price(*map(sum, zip(*map(self._of, row.ops), strict=True)))
        return CostRow(
            name=row.name,
            kind=row.kind,
            output_shape=row.output_shape,
            params=row.params,
            macs=price.macs,
            activation_bytes=row.output_bytes,
            receptive_field=row.receptive_field,
            macs_backward=price.macs_backward,
            bytes_read=price.bytes_read,
            bytes_written=price.bytes_written,
            receptive_field_min=row.receptive_field_min,
            rf_stride=row.stride,
            rf_offset=row.offset,
            inputs=tuple(row.inputs),
        )

    def _of(self, op: Op) -> _Price:
        price = self._known.get(id(op))
        if price is None:
            price = self._known[id(op)] = self._count(op)
        return price

    def _count(self, op: Op) -> _Price:
        products = count_products(op)
        if products is None:
            self.unknown[op.name] = None
        found = list(products or ())
        forward = sum(product.macs for product in found)
        backward = sum(product.backward for product in found) if self._training else 0
        if op.nature == "view":
            return _Price(forward, backward, 0, 0)
        read = sum(spec.nbytes for spec in op.inputs)
        return _Price(forward, backward, read, sum(spec.nbytes for spec in op.outputs))


class _Price(NamedTuple):
    macs: int = 0
    macs_backward: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
