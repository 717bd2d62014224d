"""Settings and line-ups."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from convarium import catalog
from convarium.bakeoff.settings import LINE_UPS, Settings
from convarium.errors import UsageError

Make = Callable[..., Settings]


@pytest.mark.parametrize("kind", LINE_UPS)
def test_every_network_of_a_line_up_is_in_the_catalog(kind: str) -> None:
    assert set(LINE_UPS[kind]) <= set(catalog.CATALOG)


def test_small_pictures_get_nine_networks_and_photographs_four(settings: Make) -> None:
    everyone = settings(models=None)
    assert len(everyone.line_up("small")) == 9
    assert len(everyone.line_up("photographs")) == 4


def test_aliases_are_resolved_and_doubles_dropped(settings: Make) -> None:
    assert settings(models=("vgg16", "vgg_d")).line_up("small") == ["vgg_d"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": 1, "minutes": 1.0}, "not both"),
        ({"epochs": 0}, "at least 1"),
        ({"epochs": None, "minutes": 0.0}, "above 0"),
        ({"epochs": None, "minutes": float("nan")}, "above 0"),
        ({"seed": -1}, "from 0 to 9223372036854775807, not -1"),
        ({"seed": 2**63}, "from 0 to 9223372036854775807, not 9223372036854775808"),
    ],
)
def test_impossible_settings_are_refused(
    settings: Make, wrong: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        settings(**wrong)


def test_a_module_that_gives_a_feature_map_cannot_race(settings: Make) -> None:
    with pytest.raises(UsageError, match="does not classify"):
        settings(models=("inception_naive",)).line_up("small")
