"""The latency model: a roofline per kind of call, and what measured neighbours say beyond it.

Seconds of a call are a floor, plus multiply-adds and bytes each at a price of its own; a Gaussian
process over the logarithms of its sizes then learns by what factor real calls differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, log2, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convarium.cost.latency.calls import SIZES, Call

Array = NDArray[np.float64]
LEAST = 6  # samples of a family; with fewer, its median is its price
# What is tried for each family, the best on samples left out one by one is taken: over how many
# doublings two shapes are alike, and what repeating one shape shows, in log seconds.
_LENGTHS = (1.2, 2.2, 4.0)
_NOISES = (0.05, 0.1, 0.2, 0.35)
_AMPLITUDE = 0.5
_OUTLIER = 4.0  # deviations above what its neighbours say: another program had the machine
_FLOAT = 4  # bytes


class LatencyModel:
    """Fitted to samples of calls; `seconds` prices any call, best one whose family was sampled.

    `chains` are sequences of calls with their seconds together: their median over the sum of their
    parts is `context`, by which a call within a network takes longer than one alone.
    """

    def __init__(
        self,
        samples: Sequence[tuple[Call, float]],
        chains: Sequence[tuple[Sequence[Call], float]] = (),
    ) -> None:
        families: dict[str, list[tuple[Call, float]]] = {}
        for call, seconds in samples:
            families.setdefault(call.family, []).append((call, seconds))
        self._families = {name: _Family(members) for name, members in families.items()}
        self._any = _Roofline(samples)
        self.context = 1.0
        if chains:
            found = [seconds / float(self.seconds(calls).sum()) for calls, seconds in chains]
            self.context = float(np.median(found))

    def seconds(self, calls: Sequence[Call]) -> Array:
        """Predicted seconds of each call."""
        found = np.zeros(len(calls))
        for family in {call.family for call in calls}:
            at = [i for i, call in enumerate(calls) if call.family == family]
            kin = [name for name in (family, *_KIN.get(family, ())) if name in self._families]
            law = self._families[kin[0]] if kin else self._any
            found[at] = self.context * law.seconds([calls[i] for i in at])
        return found

    def knows(self, call: Call) -> bool:
        """True when calls of its family were timed, not only calls of a kin."""
        return call.family in self._families


# Of one kind, and so with the same sizes; others are charged by what all kinds have in common.
_KIN = {
    "grouped": ("conv", "pointwise"),
    "depthwise": ("grouped", "conv"),
    "pointwise": ("conv",),
    "conv": ("pointwise",),
    "max_pool": ("mean_pool",),
    "mean_pool": ("max_pool",),
    "map": ("map_in_place", "copy"),
    "copy": ("map",),
    "sum": ("sum_in_place", "map"),
}


class _Roofline:
    """Prices of a call, of a multiply-add and of bytes that suit the samples best."""

    def __init__(self, samples: Sequence[tuple[Call, float]]) -> None:
        terms = np.array([_work(call) for call, _ in samples])
        seconds = np.array([value for _, value in samples])
        self._scale = terms.max(axis=0).clip(min=1e-30)
        self._prices = _non_negative(terms / self._scale / seconds[:, None])

    def seconds(self, calls: Sequence[Call]) -> Array:
        terms = np.array([_work(call) for call in calls])
        return np.asarray(terms / self._scale @ self._prices).clip(min=1e-9)


class _Family:
    """Calls of one family: their roofline, and a Gaussian process over what it misses."""

    def __init__(self, samples: list[tuple[Call, float]]) -> None:
        calls = [call for call, _ in samples]
        seconds = np.array([value for _, value in samples])
        self._median = float(np.median(seconds))
        self._is_flat = len(samples) < LEAST or not SIZES[calls[0].kind]
        if self._is_flat:
            return
        self._roofline = _Roofline(samples)
        missed = np.log(seconds / self._roofline.seconds(calls))
        self._offset = float(np.median(missed))
        self._shapes = np.array([_sizes(call) for call in calls])
        left = self._fit(missed - self._offset)
        above = left - np.median(left)
        believed = above < _OUTLIER * 1.4826 * float(np.median(np.abs(above))) + 0.05
        if not believed.all():
            missed, self._shapes = missed[believed], self._shapes[believed]
            self._offset = float(np.median(missed))
            self._fit(missed - self._offset)

    def seconds(self, calls: list[Call]) -> Array:
        if self._is_flat:
            return np.full(len(calls), self._median)
        shapes = np.array([_sizes(call) for call in calls])
        kernel = _kernel(_squares(shapes, self._shapes), self._length)
        return np.asarray(
            self._roofline.seconds(calls) * np.exp(self._offset + kernel @ self._alpha)
        )

    def _fit(self, missed: Array) -> Array:
        """Takes the length and noise with the least error on samples left out; those errors."""
        apart = _squares(self._shapes, self._shapes)
        best, left = float("inf"), missed
        for length in _LENGTHS:
            kernel = _kernel(apart, length)
            for noise in _NOISES:
                inverse = np.linalg.inv(kernel + noise**2 * np.eye(len(missed)))
                alpha = inverse @ missed
                errors = alpha / np.diag(inverse)  # of each sample, fitted to all others
                if float(np.abs(errors).mean()) < best:
                    best, left = float(np.abs(errors).mean()), errors
                    self._length, self._alpha = length, alpha
        return left


def _work(call: Call) -> list[float]:
    """What the roofline prices: a call, multiply-adds, bytes of pictures, bytes of weights."""
    pictures, weights = _bytes(call)
    return [1.0, float(call.macs), pictures, weights]


def _bytes(call: Call) -> tuple[float, float]:
    """Bytes of inputs and outputs, and of weights, at four each."""
    if call.kind == "conv":
        taken = call["n"] * call["c"] * call["h"] * call["w"]
        window = call["c"] // call["groups"] * call["kh"] * call["kw"]
        return _FLOAT * (taken + call.output_pixels * call["out"]), _FLOAT * window * call["out"]
    if call.kind in ("linear", "product"):
        *_, rows, inner, columns = call.sizes
        n = call["n"] if call.kind == "product" else 1
        return _FLOAT * n * (rows * inner + rows * columns), _FLOAT * n * inner * columns
    if call.kind in ("max_pool", "mean_pool"):
        # Charged by output elements and their windows: inputs are read again from cache.
        out = call.output_pixels * call["c"]
        return _FLOAT * out * call["kernel"] ** 2, _FLOAT * out
    if call.kind == "join":
        return _FLOAT * call["elements"], float(call["parts"])
    return float(_FLOAT * prod(call.sizes)), 0.0


def _sizes(call: Call) -> list[float]:
    """The coordinates in which calls are near each other, in doublings."""
    if call.kind == "conv":
        within = call["c"] // call["groups"]
        pixels = log2(call.output_pixels)
        row = log2(max(1, call["w"] // call["stride"]))
        window, groups = log2(call["kh"] * call["kw"]), log2(call["groups"])
        members = log2(call["out"] / call["groups"])
        ragged = 1.5 * (call["out"] // call["groups"] % 16 > 0)
        return [
            *(pixels * 0.8, row * 0.5, log2(within), members, groups, window * 1.5),
            *(2.0 * log2(call["stride"]), log2(call["n"]) * 0.5, ragged),
            *(1.5 * (within % 16 > 0), 2.0 * (call["dilation"] > 1)),
        ]
    return [log2(max(1, size)) for size in call.sizes]


def _squares(a: Array, b: Array) -> Array:
    """Squared distances between shapes."""
    return np.asarray(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=-1))


def _kernel(apart: Array, length: float) -> Array:
    """A rational quadratic of the distance: near shapes count most, far ones never nothing."""
    return np.asarray(_AMPLITUDE**2 / (1 + apart / (2 * length**2)))


def _non_negative(terms: Array) -> Array:
    """Prices of at least zero for which `terms @ prices` is nearest to one."""
    from scipy.optimize import nnls  # type: ignore[import-untyped]  # comes with scikit-learn

    prices: Any = nnls(terms, np.ones(len(terms)))[0]
    return np.asarray(prices)


def typical_error(samples: Sequence[tuple[Call, float]], every: int = 10) -> dict[str, float]:
    """Mean absolute error in log seconds, by family, of samples that were held out of the fit."""
    held = samples[::every]
    model = LatencyModel([s for i, s in enumerate(samples) if i % every])
    predicted = model.seconds([call for call, _ in held])
    misses: dict[str, list[float]] = {}
    for (call, seconds), guess in zip(held, predicted, strict=True):
        misses.setdefault(call.family, []).append(abs(log(guess / seconds)))
    return {family: sum(values) / len(values) for family, values in misses.items()}
