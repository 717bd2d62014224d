"""Results survive JSON."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from convarium.records import EpochPoint, Mistake, Result
from convarium.records.codec import result_from_dict, result_to_dict

MAY_LACK = ("unavailable", "tested_epoch")  # of earlier versions
RESULT = Result(
    model="lenet5",
    status="done",
    seed=0,
    epochs=1,
    top1_correct=3,
    top1_total=4,
    top1_low=0.3,
    top1_high=0.95,
    top5_correct=4,
    params=60000,
    macs=416520,
    megabytes=0.24,
    train_seconds=1.5,
    ms_batch1=0.5,
    ms_batch1_spread=(0.4, 0.6),
    images_per_second=1000.0,
    images_per_second_spread=(900.0, 1100.0),
    peak_bytes=None,
    joules_per_image=None,
    confusion=((2, 0), (1, 1)),
    curve=(EpochPoint(1, 2.3, 0.5, 1.5),),
    mistakes=(Mistake(1, 1, 0, 0.9, "data:image/png;base64,AA=="),),
    recipe={"lr": 0.02},
    plan={"threads": 2},
    unavailable={"peak_bytes": "not available: no kernel"},
)


def test_a_result_survives_json() -> None:
    assert result_from_dict(json.loads(json.dumps(result_to_dict(RESULT)))) == RESULT


def test_a_key_of_a_later_version_is_left_out() -> None:
    assert result_from_dict({**result_to_dict(RESULT), "colour": "red"}) == RESULT


@pytest.mark.parametrize("missing", [f.name for f in fields(Result) if f.name not in MAY_LACK])
def test_a_dict_without_a_field_is_no_result(missing: str) -> None:
    raw = result_to_dict(RESULT)
    del raw[missing]
    with pytest.raises((TypeError, KeyError)):
        result_from_dict(raw)
