"""Networks of strangers and ours get their first values quickly: only their way is tested."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quick_values import quick_values


@pytest.fixture(autouse=True)
def _quick_values() -> Iterator[None]:
    with quick_values():
        yield
