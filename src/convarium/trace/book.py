"""The rows of a trace: written while a network runs, filled in when it has run.

What can wait is noted as an event. In a loop of its own it takes half the time that it takes
between two operators, when the processor's caches are full of torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from torch import Tensor

from convarium.trace.arguments import nbytes
from convarium.trace.fields import FieldMap
from convarium.trace.rows import Op, TensorSpec, TraceRow
from convarium.trace.standins import StandIns

_Events = list[
    tuple[TraceRow | None, Op | None, Sequence[TensorSpec], Sequence[Any], Sequence[Tensor]]
]


class RowBook:
    """Writes rows: calls numbered, parameters counted once, who feeds whom, what each sees.

    Args:
        inputs: of the network.
        trainable: the model's parameters.
        stand_ins: tell which parameter is behind a tensor.
    """

    def __init__(
        self, inputs: Sequence[Tensor], trainable: list[Tensor], stand_ins: StandIns
    ) -> None:
        self._trainable, self._stand_ins = trainable, stand_ins
        self._fields = FieldMap(inputs)
        # Values of the parameters that no row has counted; tensors that have one behind them.
        self._sizes = {id(p): p.numel() for p in trainable}
        self._uncounted: dict[int, int] = {}
        self._rows: list[TraceRow] = []
        self._calls: dict[str, int] = {}
        self._numbers: dict[int, int] = {}  # of a row, by its identity, once all are there
        self._makers: dict[int, int] = {}  # a tensor's row, by the tensor's identity
        self._finished = False
        self._events: _Events = []  # they keep all tensors alive: an identity means one

    def new(self, name: str, kind: str) -> TraceRow:
        """The next row, its calls of that name counted."""
        call = self._calls.get(name, 0)
        row = TraceRow(name, kind, call)
        self._calls[name] = call + 1
        self._rows.append(row)
        return row

    def ran(
        self,
        row: TraceRow | None,
        op: Op,
        specs: Sequence[TensorSpec],
        used: list[Tensor],
        outputs: list[Tensor],
    ) -> None:
        """An operator ran in a row, or as a bare view in none.

        Args:
            row: the operator's.
            op: its call.
            specs: those of `used`, as they came in.
            used: the tensors that it was called with.
            outputs: those that it gave.
        """
        self._events.append((row, op, specs, used, outputs))

    def gave(self, row: TraceRow, outputs: list[Tensor], own: Iterable[Any] = ()) -> None:
        """A row came to its end and gave these; its `own` parameters are its, used or not."""
        self._events.append((row, None, (), tuple(own), outputs))

    def finish(self) -> list[TraceRow]:
        """The rows, with one more for parameters that the forward pass never used."""
        self._finished, self._uncounted = True, dict(self._stand_ins.originals)
        self._numbers = {id(row): number for number, row in enumerate(self._rows)}
        for row, op, specs, used, outputs in self._events:
            sources = list(map(id, used))
            if op is not None:
                made = list(map(id, outputs))
                self._fields.carry(op, specs, sources, made)
                self._connect(row, sources, made)
            if row is None:
                continue
            if not self._uncounted.keys().isdisjoint(sources):
                self._count(row, sources)
            if op is not None:
                row.ops.append(op)
            elif outputs:
                self._set_output(row, outputs)
        unused = TraceRow("(unused parameters)", "unused", 0)
        self._count(unused, map(id, self._trainable))
        return [*self._rows, unused] if unused.params else self._rows

    def apart(self) -> list[Tensor]:
        """New tensors that the picture has no part in, also of a pass that failed."""
        if not self._finished:
            with suppress(Exception):  # of a half-made row
                self.finish()
        calls = [(op, outputs) for _, op, _, _, outputs in self._events if op is not None]
        new = chain.from_iterable(outputs for op, outputs in calls if not op.in_place)
        return self._fields.apart(new)

    def _count(self, row: TraceRow, sources: Iterable[int]) -> None:
        """Adds to a row the trainable values among these that no row has counted."""
        for source in sources:
            original = self._uncounted.pop(source, None)
            if original is not None:
                row.params += self._sizes.pop(original, 0)

    def _connect(self, row: TraceRow | None, sources: list[int], made: list[int]) -> None:
        """Notes which rows feed `row`, and that it made these.

        Without a row, what a bare view gives still comes from its source's row.
        """
        before = [n for n in map(self._makers.get, sources) if n is not None]
        if row is not None:
            maker = self._numbers[id(row)]
            for number in before:
                if number != maker:
                    row.inputs[number] = None
        elif before:
            maker = before[0]
        else:
            return
        for key in made:
            self._makers[key] = maker

    def _set_output(self, row: TraceRow, outputs: Sequence[Tensor]) -> None:
        row.output_shape = tuple(outputs[0].shape)
        row.output_bytes = sum(map(nbytes, outputs))
        field = self._fields.of(outputs[0])
        if field is not None:
            seen = field.seen
            row.receptive_field, row.receptive_field_min = seen.side, seen.least
            row.stride, row.offset = seen.stride, seen.offset
