"""Near duplicates: pictures whose small grey versions rise and fall alike. Linear in their number.

A difference hash: each bit says whether a pixel of the 9x9 grey version is lighter than its left
neighbour (64 bits) or than the one above it (64 bits). Two hashes that differ in at most `RADIUS`
bits agree in at least one of RADIUS + 1 bands of bits (the pigeonhole), so only pictures of one
band value are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

RADIUS = 10  # of 128 bits
WINDOW = 200  # neighbours that a picture is compared with in one band, at most
ALIKE = 0.99  # least correlation of the two small versions; handwritten ones reach 0.98 by chance
SIDE = 9
_STEP = 2  # grey levels: less is noise of the encoder
_BITS = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pair:
    """Places of two alike pictures, first < second, and the bits in which their hashes differ."""

    first: int
    second: int
    bits: int


def small_version(image: Image.Image) -> Bytes:
    """The picture's (9, 9) grey version."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))


def near_pairs(small: Bytes, *, counts: dict[str, int] | None = None) -> list[Pair]:
    """Pairs of alike pictures among (N, 9, 9) grey versions, ordered.

    Of more than two with one hash, each is paired with the first. A picture without structure (no
    bit set) is like any other such one: it is left out. Where more than `WINDOW` pictures share a
    band, each is compared with the `WINDOW` next to it, so that the work stays linear.

    Args:
        small: of every picture.
        counts: gets the number of comparisons, under "compared".
    """
    hashes = _hashes(small)
    rows = np.flatnonzero(hashes.any(1))
    if not len(rows):
        return []
    unique, first, inverse = np.unique(hashes[rows], axis=0, return_index=True, return_inverse=True)
    leader, normal = rows[first], _normalised(small)
    found = [np.stack([leader[inverse.ravel()], rows, np.zeros_like(rows)], 1)]
    compared = 0
    for left, right in _candidates(unique):
        compared += len(left)
        bits = _BITS[unique[left] ^ unique[right]].sum(1, dtype=np.int64)
        near = bits <= RADIUS
        a, b = leader[left[near]], leader[right[near]]
        found.append(np.stack([np.minimum(a, b), np.maximum(a, b), bits[near]], 1))
    if counts is not None:
        counts["compared"] = compared
    pairs = np.unique(np.concatenate(found), axis=0)
    first, second = pairs[:, 0], pairs[:, 1]
    alike = np.einsum("ij,ij->i", normal[first], normal[second]) >= ALIKE
    return [Pair(*row) for row in pairs[alike & (first != second)].tolist()]


def _hashes(small: Bytes) -> Bytes:
    """(N, 9, 9) -> (N, 16) uint8, 128 bits each."""
    levels = small.astype(np.int16)
    across = levels[:, :-1, 1:] - levels[:, :-1, :-1] > _STEP
    down = levels[:, 1:, :-1] - levels[:, :-1, :-1] > _STEP
    return np.packbits(np.concatenate([across.reshape(-1, 64), down.reshape(-1, 64)], 1), axis=1)


def _candidates(unique: Bytes) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Pairs of rows that share a band, in bunches."""
    bits = np.unpackbits(unique, axis=1)
    for band in range(RADIUS + 1):
        # Every (RADIUS + 1)th bit: each band has its part of the border, which is often blank.
        keys = np.packbits(bits[:, band :: RADIUS + 1], axis=1)
        ids = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        for step in range(1, min(WINDOW, len(order) - 1) + 1):
            same = np.flatnonzero(ids[step:] == ids[:-step])
            if not len(same):
                break
            yield order[same], order[same + step]


def _normalised(small: Bytes) -> npt.NDArray[np.float32]:
    """(N, 81) float32 rows of mean 0 and length 1."""
    rows = small.reshape(len(small), -1).astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
