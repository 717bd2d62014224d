"""Expands the lines of a rows file into rows: blocks, repeats, parameters, names and wiring.

A block is a list of lines under a name with parameters ("bottleneck width out stride"); a line
whose kind is a block's name runs it, and its rows are named NAME/row. `$word` stands for a
parameter of the block or a value of the network's entry. `NAME{2..4}` repeats a line, each on top
of the last. `in` is what came into the block; a block's name as an input is the block's last row,
or the rows that its line `out <- a b` names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from convarium.errors import InputError
from convarium.facts import rowmath
from convarium.facts.model import LayerRow
from convarium.facts.rowline import Line, read_layer, read_line

_PARAMETER = re.compile(r"\$(\w+)")
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_PICTURE = "input"


@dataclass(frozen=True, slots=True)
class Entry:
    """One network of a rows file: its conventions, its parameters and its table.

    `bias` and `bn` ("none", "after" or "before") are of convolutions; linear layers have biases
    and no batch normalisation. A row's own words go against either.
    """

    name: str
    input: tuple[int, int, int]
    bias: bool
    bn: str
    where: str
    confidence: str
    lines: tuple[str, ...]
    values: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Block:
    """A named list of lines with parameters."""

    parameters: tuple[str, ...]
    lines: tuple[str, ...]


def expand(entry: Entry, blocks: Mapping[str, Block]) -> tuple[LayerRow, ...]:
    """The rows of one network, in the order of its table.

    Raises:
        InputError: a line that the language has no meaning for, or a size that is not the stated.
    """
    table = _Table(entry, blocks)
    table.run(table.read(entry.lines, entry.values), "", (_PICTURE,))
    return tuple(table.rows.values())


class _Table:
    """The rows so far, their shapes by name, and what a block's name stands for."""

    def __init__(self, entry: Entry, blocks: Mapping[str, Block]) -> None:
        self.entry, self.blocks = entry, blocks
        self.rows: dict[str, LayerRow] = {}
        self.ends: dict[str, tuple[str, ...]] = {_PICTURE: (_PICTURE,)}
        # Deep networks repeat a block on the same shapes: it is read and worked out once.
        self.read_blocks: dict[tuple[str, tuple[str, ...]], tuple[Line, ...]] = {}
        self.worked_out: dict[tuple[Line, tuple[rowmath.Shape, ...]], dict[str, Any]] = {}

    def read(self, lines: Sequence[str], values: Mapping[str, str]) -> tuple[Line, ...]:
        """The lines with values in place of their parameters."""
        found = []
        for line in lines:
            try:
                found.append(read_line(_PARAMETER.sub(lambda word: values[word[1]], line)))
            except (KeyError, ValueError) as error:
                raise self._about(line, error) from error
        return tuple(found)

    def run(self, lines: Sequence[Line], path: str, came: tuple[str, ...]) -> tuple[str, ...]:
        """Runs the lines of a block behind `came`; gives the rows that it ends with."""
        last = came
        for line in lines:
            try:
                for name in _names(line.name):
                    inputs = self._ends_of(line.inputs, path, came) or last
                    last = inputs if name == "out" else self._step(path + name, line, inputs)
            except (KeyError, ValueError) as error:
                raise self._about(path + line.text, error) from error
        return last

    def _about(self, row: str, error: KeyError | ValueError) -> InputError:
        says = f"nothing is named {error}" if isinstance(error, KeyError) else str(error)
        return InputError(f"{self.entry.name}: row {row!r}: {says}.")

    def _step(self, name: str, line: Line, inputs: tuple[str, ...]) -> tuple[str, ...]:
        """One layer, or one block; gives the rows it ends with."""
        if name in self.ends:
            raise ValueError("the name is taken")
        if line.kind in rowmath.KINDS:
            self.rows[name] = self._row(name, line, inputs)
            self.ends[name] = (name,)
        else:
            block = self._block(line.kind, line.words)
            self.ends[name] = self.run(block, f"{name}/", inputs)
        for end in self.ends[name]:
            _check_size(self.shape(end), line.output)
        return self.ends[name]

    def _block(self, kind: str, words: tuple[str, ...]) -> tuple[Line, ...]:
        """The lines of a block for these arguments."""
        if (kind, words) not in self.read_blocks:
            block = self.blocks[kind]
            if len(block.parameters) != len(words):
                raise ValueError(f"{kind} takes {block.parameters}, not {words}")
            values = {**self.entry.values, **dict(zip(block.parameters, words, strict=True))}
            self.read_blocks[kind, words] = self.read(block.lines, values)
        return self.read_blocks[kind, words]

    def _row(self, name: str, line: Line, inputs: tuple[str, ...]) -> LayerRow:
        shapes = tuple(self.shape(row) for row in inputs)
        if (line, shapes) not in self.worked_out:
            self.worked_out[line, shapes] = self._entries(line, shapes)
        return LayerRow(name=name, inputs=inputs, **self.worked_out[line, shapes])

    def _entries(self, line: Line, shapes: Sequence[rowmath.Shape]) -> dict[str, Any]:
        """The fields of a row that do not depend on names."""
        kind, layer = line.kind, read_layer(line.words)
        came = rowmath.joined(kind, shapes, padded="padded" in layer.flags)
        out = rowmath.out_shape(kind, layer, came)
        window = kind == "conv" or kind in rowmath.POOLS
        bias = self._bias(kind, layer.flags)
        return {
            "kind": kind,
            "output": out,
            "kernel": layer.kernel,
            "stride": layer.stride,
            "pad": layer.pad if window and layer.pad_printed else None,
            "groups": rowmath.groups_of(layer, came),
            "where": line.where or self.entry.where,
            "confidence": "memory" if line.recalled else self.entry.confidence,
            "input": came,
            "params": rowmath.params_of(kind, layer, came, out, bias=bias),
            "bn_params": self._bn_params(kind, layer.flags, came, out),
            "macs": rowmath.macs_of(kind, layer, came, out),
        }

    def shape(self, row: str) -> rowmath.Shape:
        return self.entry.input if row == _PICTURE else self.rows[row].output

    def _ends_of(self, names: tuple[str, ...], path: str, came: tuple[str, ...]) -> tuple[str, ...]:
        """The rows that names stand for, looked up from the block outwards."""
        found: list[str] = []
        for name in names:
            found += came if name == "in" else self.ends[self._nearest(name, path)]
        return tuple(found)

    def _nearest(self, name: str, path: str) -> str:
        while path and path + name not in self.ends:
            path = path[: path.rstrip("/").rfind("/") + 1]
        return path + name

    def _bias(self, kind: str, flags: frozenset[str]) -> bool:
        own = self.entry.bias if kind == "conv" else True
        return "bias" in flags or (own and "nobias" not in flags)

    def _bn_params(
        self, kind: str, flags: frozenset[str], came: rowmath.Shape, out: rowmath.Shape
    ) -> int:
        """Scale and shift of each map that is normalised before or behind the row."""
        own = self.entry.bn if kind == "conv" and "nobn" not in flags else "none"
        before = came[0] if own == "before" or "prebn" in flags else 0
        after = out[0] if own == "after" or "bn" in flags else 0
        return 2 * (before + after)


def _names(name: str) -> list[str]:
    """The names that a range such as `fire{2..4}` stands for; none for `{2..1}`."""
    numbers = _RANGE.search(name)
    if numbers is None:
        return [name]
    first, last = int(numbers[1]), int(numbers[2])
    return [_RANGE.sub(str(number), name) for number in range(first, last + 1)]


def _check_size(shape: rowmath.Shape, stated: tuple[int, ...]) -> None:
    if stated and stated != (shape if len(stated) > 1 or len(shape) == 1 else shape[1:2]):
        raise ValueError(f"the paper's size is {stated}, the arithmetic gives {shape}")
