"""Stratified parts of a data set, decided by a hash of the names: no seed of a run moves them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor

from convarium.data.model import Split
from convarium.errors import UsageError

TEST_SHARE = 0.2


def held_back(labels: Sequence[int], names: Sequence[str], share: float, salt: str) -> list[bool]:
    """Which samples are held back: of each class `share` of it, as near as whole numbers allow.

    The total is `share` of all, rounded up; the classes with the largest remainders give one more
    than their share rounded down. A class of two or more gives at least one and keeps one.

    Args:
        labels: class of each sample.
        names: of each sample, unique.
        share: in (0, 1).
        salt: another salt holds back others.
    """
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    quota = _quotas({label: len(rows) for label, rows in members.items()}, share)
    held = [False] * len(labels)
    for label, rows in members.items():
        rows.sort(key=lambda row: hashlib.sha256(f"{salt}/{names[row]}".encode()).digest())
        for row in rows[: quota[label]]:
            held[row] = True
    return held


def carve(split: Split, *, share: float = 0.2, salt: str = "validation") -> tuple[Split, Split]:
    """A training part and a stratified validation part of a split, for tuning.

    The test split is for reporting alone: choose by what this validation part says.

    Raises:
        UsageError: no class has the two pictures that it takes to hold one back.
    """
    held = torch.tensor(held_back(split.labels.tolist(), split.names, share, salt))
    if not held.any():
        raise UsageError(
            f"validation {share:g} holds none of the {len(split)} pictures back: a class keeps its "
            "only one. Take more pictures, or --set validation=0."
        )
    return split.subset(_where(~held)), split.subset(_where(held))


def _quotas(sizes: dict[int, int], share: float) -> dict[int, int]:
    exact = {label: size * share for label, size in sizes.items()}
    quota = {label: int(value) for label, value in exact.items()}
    missing = ceil(sum(sizes.values()) * share - 1e-9) - sum(quota.values())
    by_remainder = sorted(exact, key=lambda label: (quota[label] - exact[label], label))
    for label in by_remainder[:missing]:
        quota[label] += 1
    return {
        label: min(max(quota[label], 1), size - 1) if size > 1 else 0
        for label, size in sizes.items()
    }


def _where(mask: Tensor) -> Tensor:
    return mask.nonzero().flatten()
