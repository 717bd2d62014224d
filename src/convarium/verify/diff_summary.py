"""A difference in a few plain sentences: equal changes are told once, with all they add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import log2
from typing import Any

from convarium.errors import counted, times
from convarium.verify.diff_words import change_words, kind_words, signed, told
from convarium.verify.difference import FOLLOWS, STRUCTURE, Change, Difference, DiffRow
from convarium.verify.unit import WEIGHTED, Side, Unit

_Key = tuple[Any, ...]
_NAMED = 3  # layers that a line names before it counts the rest
# Kinds that give what they get: a pool changes maps, and all others may change both.
_KEEP_SHAPES = frozenset("dropout lrn norm activation add mul softmax".split())


@dataclass(slots=True)
class Line:
    """One difference: what it is, the layers that have it, and what it adds to the totals.

    `follows` counts layers that are the same and cost more or less because they see what these
    changed: the nearest line before them carries their share. All lines sum to the totals'
    differences.
    """

    what: str
    layers: list[str] = field(default_factory=list)
    params: int = 0
    macs: int = 0
    follows: int = 0

    def __str__(self) -> str:
        """ "conv4: 384 -> 256 filters: -737,408 parameters, -124,620,800 MACs"."""
        names = f"{self.names(_NAMED)}: " if self.layers else ""
        effect = f": {told(self.params, self.macs)}" if self.params or self.macs else ""
        behind = f" ({self.behind})" if effect and self.behind else ""
        return f"{names}{self.what}{effect}{behind}"

    def names(self, most: int) -> str:
        """The layers' names, and how many there are beyond `most`."""
        rest = len(self.layers) - most
        return ", ".join(self.layers[:most]) + (f" and {rest} more" if rest > 0 else "")

    @property
    def behind(self) -> str:
        """ "2 layers behind included", empty for none."""
        return f"{counted(self.follows, 'layer')} behind included" if self.follows else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, with the sentence as "text"."""
        return {"text": str(self), **asdict(self)}


def summary(found: Difference) -> list[Line]:
    """The lines of a difference, in the order of its layers; none for equal networks."""
    lines: dict[_Key, Line] = {}
    blame = _Blame()
    for row in found.rows:
        for key, what, params, macs in _atoms(row, found):
            line = lines.setdefault(key, Line(what))
            line.layers.append(row.name)
            line.params += params
            line.macs += macs
            blame.suspect(key[0], row.kind, line)
        blame.see(row)
        params, macs = _followed(row)
        if params or macs:
            is_own = blame.began_alike and found.a.input == found.b.input
            cause = blame.cause or _unblamed(lines, row, found, is_own=is_own)
            cause.params += params
            cause.macs += macs
            cause.follows += not (cause.layers and cause.layers[-1] == row.name)
    return list(lines.values())


def _unblamed(lines: dict[_Key, Line], row: DiffRow, found: Difference, *, is_own: bool) -> Line:
    """The line of a layer that sees another shape though none before it changed any.

    The input did where the networks do not begin alike; else the layer says it of itself.
    """
    if not is_own:
        return lines.setdefault(("input",), Line(_input(found)))
    what = ", ".join(change_words(c, row) for c in row.changes if c.field in FOLLOWS)
    return lines.setdefault(("follows", row.name, what), Line(what, [row.name]))


def as_dict(found: Difference) -> dict[str, Any]:
    """A whole difference as plain lists and dicts, as the command line prints it with --json."""
    return {
        "a": _plain_side(found.a),
        "b": _plain_side(found.b),
        "params_difference": found.params,
        "macs_difference": found.macs,
        "summary": [line.to_dict() for line in summary(found)],
        "rows": [row.to_dict() for row in found.rows],
    }


def _plain_side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "source": side.source,
        "input": side.input,
        "params": side.params,
        "macs": side.macs,
        "silent": side.silent,
        "doubts": side.doubts,
    }


class _Blame:
    """Which line changed the shapes that later layers see: the last before shapes began to differ.

    A pair of layers says how far apart the two networks' maps and channels are there, before and
    behind it.
    """

    def __init__(self) -> None:
        self.cause: Line | None = None
        self.began_alike = False
        self._suspects: list[tuple[str, Line]] = []  # by kind, since the pair before
        self._apart = (0.0, 0, 0.0)

    def suspect(self, sort: str, kind: str, line: Line) -> None:
        """A line that may change shapes; it is to blame when the next pair's shapes differ so."""
        if sort != "setting" and kind not in _KEEP_SHAPES:
            self._suspects.append((kind, line))

    def see(self, row: DiffRow) -> None:
        """Looks at a pair of layers that stand at one place."""
        if row.a is None or row.b is None or row.status == "moved":
            return
        sees, sees_too = (unit.settings.get("in") for unit in (row.a, row.b))
        apart = (
            _apart(row.a.channels, row.b.channels),
            round(4 * _apart(_side(row.a), _side(row.b))),  # 54 to 27 and 13 to 6 are the same
            # A pool or a norm says nothing of what it sees: it changes nothing there.
            _apart(sees, sees_too) if sees and sees_too else self._apart[2],
        )
        self.began_alike |= not any(apart)
        if any(apart) and apart != self._apart:
            other_map = apart[1] != self._apart[1]
            able = [line for kind, line in self._suspects if kind != "pool" or other_map]
            self.cause = able[-1] if able else self.cause
        self._apart, self._suspects = apart, []


def _side(unit: Unit) -> int | None:
    return unit.map[0] if unit.map else None


def _apart(a: int | None, b: int | None) -> float:
    """Doublings between two sizes."""
    return round(log2(b / a), 6) if a and b else 0.0


def total(found: Difference) -> str:
    """ "alexnet_owt -> torchvision:alexnet: -737,408 parameters, ..."."""
    head = f"{found.a.name} -> {found.b.name}"
    if not found.differing:
        return f"{head}: no difference"
    params = _total(found.params, "parameters", found.a.params, found.b.params)
    return f"{head}: {params}; {_total(found.macs, 'MACs', found.a.macs, found.b.macs)}"


def _total(difference: int, what: str, a: int, b: int) -> str:
    if not difference:
        return f"the same {what} ({a:,})"
    return f"{signed(difference)} {what} ({a:,} -> {b:,})"


def _atoms(row: DiffRow, found: Difference) -> Iterator[tuple[_Key, str, int, int]]:
    """The differences of one row: a key that equal ones share, words, and their price."""
    if row.status in ("only_a", "only_b"):
        side = found.a if row.status == "only_a" else found.b
        what = f"{kind_words(row)}, only in {side.name}"
        yield (row.status, what), what, row.params, row.macs
        return
    if row.status == "moved":
        yield _moved(row, found)
    structure = [c for c in row.changes if c.field in STRUCTURE or c.field == "count"]
    if structure:
        yield _atom("structure", row, structure)
    for change in row.changes:
        if change not in structure and change.field not in FOLLOWS:
            yield _start(row, change) or _atom("setting", row, [change])


def _start(row: DiffRow, change: Change) -> tuple[_Key, str, int, int] | None:
    """First values that are wider or narrower: layers whose deviations have one ratio are one line.

    None for any other setting, and for values that are constant in one of the networks.
    """
    if not change.field.startswith("start of") or not (change.a["std"] and change.b["std"]):
        return None
    what = f"{change.field}, deviation times {change.b['std'] / change.a['std']:.1f}"
    return ("setting", what), what, 0, 0


def _moved(row: DiffRow, found: Difference) -> tuple[_Key, str, int, int]:
    if row.kind in WEIGHTED:
        what = f"runs earlier or later in {found.b.name}, as a side branch may; else the same"
    else:
        what = f"stands behind {row.after_a or 'the input'}; in {found.b.name} behind "
        what += row.after_b or "the input"
    return ("moved", row.kind, what), what, 0, 0


def _atom(sort: str, row: DiffRow, changes: list[Change]) -> tuple[_Key, str, int, int]:
    what = ", ".join(change_words(change, row) for change in changes)
    params, macs = sum(c.params for c in changes), sum(c.macs for c in changes)
    return (sort, row.kind, what), what, params, macs


def _followed(row: DiffRow) -> tuple[int, int]:
    """What a row costs more because an earlier layer changed."""
    follows = [c for c in row.changes if c.field in FOLLOWS]
    return sum(c.params for c in follows), sum(c.macs for c in follows)


def _input(found: Difference) -> str:
    if found.a.input == found.b.input:
        return "other shapes on the way"
    sizes = [times(side.input) if side.input else "unsaid" for side in (found.a, found.b)]
    return f"another input: {sizes[0]} -> {sizes[1]}"
