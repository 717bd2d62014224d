"""The rows of a trace as written: calls numbered, parameters counted once, who feeds whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from convarium.trace.rows import TraceRow
from convarium.trace.standins import StandIns


class RowBook:
    """Writes rows.

    Args:
        trainable: the model's parameters.
        stand_ins: tell which parameter is behind a tensor.
    """

    def __init__(self, trainable: list[Tensor], stand_ins: StandIns) -> None:
        self._trainable, self._stand_ins = trainable, stand_ins
        self._sizes = {id(p): p.numel() for p in trainable}
        self._rows: list[TraceRow] = []
        self._numbers: dict[int, int] = {}  # of a row, by its identity
        self._makers: dict[int, int] = {}  # a tensor's row, by the tensor's identity
        self._calls: dict[str, int] = {}
        self._counted: set[int] = set()

    def new(self, name: str, kind: str) -> TraceRow:
        """The next row, its calls of that name counted."""
        call = self._calls.get(name, 0)
        row = TraceRow(name, kind, call)
        self._calls[name] = call + 1
        self._numbers[id(row)] = len(self._rows)
        self._rows.append(row)
        return row

    def count(self, values: Iterable[Any], row: TraceRow) -> None:
        """Adds to a row the trainable values among these that no row has counted."""
        for value in values:
            original = self._stand_ins.original(value)
            if original is not None and original not in self._counted:
                self._counted.add(original)
                row.params += self._sizes[original]

    def connect(self, row: TraceRow | None, used: list[Tensor], outputs: list[Tensor]) -> None:
        """Notes which rows feed `row`, and that it made `outputs`, which the caller keeps alive.

        Without a row, what a bare view gives still comes from its source's row.
        """
        before = [n for n in [self._makers.get(id(t)) for t in used] if n is not None]
        if row is not None:
            maker = self._numbers[id(row)]
            row.inputs.update(dict.fromkeys([n for n in before if n != maker]))
        elif before:
            maker = before[0]
        else:
            return
        for t in outputs:
            self._makers[id(t)] = maker

    def finish(self) -> list[TraceRow]:
        """The rows, with one more for parameters that the forward pass never used."""
        unused = TraceRow("(unused parameters)", "unused", 0)
        self.count(self._trainable, unused)
        return [*self._rows, unused] if unused.params else self._rows
