"""At least 300 of timm's networks: rows add up, nothing counts as zero in silence."""

from __future__ import annotations

import pytest

from convarium.cost.sources import find
from convarium.errors import ConvariumError

timm = pytest.importorskip("timm", reason="timm is an extra")

LEAST = 300
EVERY = 4  # of timm's names, so that each family has some


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_three_hundred_networks() -> None:
    good, refused, lower = 0, {}, {}
    for name in timm.list_models()[::EVERY]:
        try:
            report = find(f"timm:{name}").cost(None, batch_size=1, training=False)
        except ConvariumError as error:
            refused[name] = str(error)
            continue
        for key in ("params", "macs", "bytes_read", "bytes_written"):
            assert getattr(report, key) == sum(getattr(row, key) for row in report.rows), name
        assert report.macs > 0, name
        if report.status != "exact":
            assert report.unknown_ops, name
            lower[name] = report.unknown_ops
        good += 1
    assert good >= LEAST, refused
    assert len(lower) <= good // 50, lower
    assert len(refused) <= 1, refused
