"""Pickles of dictionaries, lists, words, numbers and byte arrays, read without running them.

A pickle is a small program. Here its opcodes are listed by `pickletools`, which runs nothing, and
the few that such data need are carried out by hand. The only names it may mention are those with
which NumPy writes an array; nothing of them is looked up: an array stays the bytes that stand in
the file, with a shape that is checked against their number.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

MAX_OPCODES = 5_000_000
_MARK = object()
_ARRAY = frozenset(f"{module}.multiarray _reconstruct" for module in ("numpy.core", "numpy._core"))
_NAMES = _ARRAY | {"numpy ndarray", "numpy dtype", "_codecs encode"}


@dataclass(slots=True)
class Array:
    """An array as the file has it. `type` is NumPy's word without its byte order: "u1"."""

    shape: tuple[int, ...] = ()
    type: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that the pickle mentions; it stands for nothing."""

    words: str


@dataclass(slots=True)
class _Type:
    """What was given to numpy.dtype."""

    type: str


def read_plain(data: bytes) -> dict[bytes, Any]:
    """The dictionary in a pickle, its words as bytes.

    Raises:
        ValueError: it is no pickle, no dictionary, or would need more than plain data.
    """
    machine = _Machine()
    try:
        for count, (opcode, arg, _) in enumerate(pickletools.genops(data)):
            if count > MAX_OPCODES:
                raise ValueError(f"more than {MAX_OPCODES:,} opcodes")
            machine.do(opcode.name, arg)
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"its opcodes make no sense ({type(error).__name__})") from error
    (found,) = machine.stack or (None,)
    if not isinstance(found, dict):
        raise ValueError("it holds no dictionary")
    return found


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def do(self, name: str, arg: Any) -> None:
        """One opcode."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            self.stack.append(arg.encode() if isinstance(arg, str) else arg)
        elif name in _PUTS:
            self.memo[len(self.memo) if name == "MEMOIZE" else int(arg)] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self.memo[int(arg)])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._name(arg)
        elif name in _ACTIONS:
            _ACTIONS[name](self)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"it uses the opcode {name}, which plain data do not need")

    def to_mark(self) -> list[Any]:
        """Takes what lies above the last mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("it lacks a mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def _name(self, arg: str | None) -> None:
        if arg is None:
            name, module = self.stack.pop(), self.stack.pop()
            arg = f"{module.decode()} {name.decode()}"
        if arg not in _NAMES:
            raise ValueError(f"it names {arg.replace(' ', '.')[:80]}, which is not run")
        self.stack.append(_Name(arg))

    def reduce(self) -> None:
        """Carries out the three calls with which an array is written."""
        given, called = self.stack.pop(), self.stack.pop()
        words = called.words
        if words in _ARRAY:
            self.stack.append(Array())
        elif words == "numpy dtype":
            self.stack.append(_Type(given[0].decode()))
        elif words == "_codecs encode" and given[1] == b"latin1":
            self.stack.append(given[0].decode().encode("latin1"))  # how Python 3 writes old bytes
        else:
            raise ValueError(f"it calls {words.replace(' ', '.')}")

    def build(self) -> None:
        """Fills an array, and passes over what else is told of a type."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _Type):
            return
        if not isinstance(target, Array):
            raise ValueError("it fills an object that is no array")
        _, shape, type_, fortran, data = state
        plain = isinstance(data, bytes) and all(type(side) is int and side >= 0 for side in shape)
        if not plain or fortran or len(shape) > 8:
            raise ValueError("an array that is not of plain bytes")
        if prod(shape) * int(type_.type[1:]) != len(data):
            raise ValueError(f"an array of {shape} in {len(data):,} bytes")
        target.shape, target.type, target.data = tuple(shape), type_.type, data

    def set_items(self, items: list[Any]) -> None:
        """Key, value, key, value into the dictionary below."""
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, bytes):
                raise ValueError("a key that is no word")
            self.stack[-1][key] = value

    def fold(self, count: int) -> None:
        """The last `count` values as a tuple."""
        items = self.stack[len(self.stack) - count :] if count else []
        if len(items) != count:
            raise ValueError("its stack is too short")
        del self.stack[len(self.stack) - count :]
        self.stack.append(tuple(items))

    def append(self, items: list[Any]) -> None:
        """Values to the list below."""
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError("it appends to what is no list")
        target.extend(items)


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES "
    "SHORT_BINBYTES BINBYTES8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8".split()
)
_PUTS = frozenset("PUT BINPUT LONG_BINPUT MEMOIZE".split())
_GETS = frozenset("GET BINGET LONG_BINGET".split())
_ACTIONS: dict[str, Callable[[_Machine], object]] = {
    "MARK": lambda m: m.stack.append(_MARK),
    "EMPTY_DICT": lambda m: m.stack.append({}),
    "EMPTY_LIST": lambda m: m.stack.append([]),
    "EMPTY_TUPLE": lambda m: m.stack.append(()),
    "DICT": lambda m: (items := m.to_mark(), m.stack.append({}), m.set_items(items)),
    "LIST": lambda m: m.stack.append(m.to_mark()),
    "TUPLE": lambda m: m.stack.append(tuple(m.to_mark())),
    "TUPLE1": lambda m: m.fold(1),
    "TUPLE2": lambda m: m.fold(2),
    "TUPLE3": lambda m: m.fold(3),
    "SETITEM": lambda m: (v := m.stack.pop(), k := m.stack.pop(), m.set_items([k, v])),
    "SETITEMS": lambda m: m.set_items(m.to_mark()),
    "APPEND": lambda m: (v := m.stack.pop(), m.append([v])),
    "APPENDS": lambda m: m.append(m.to_mark()),
    "REDUCE": lambda m: m.reduce(),
    "BUILD": lambda m: m.build(),
    "POP": lambda m: m.stack.pop(),
}
