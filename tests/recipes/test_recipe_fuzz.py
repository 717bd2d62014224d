"""Recipes of any bytes and words: a recipe whose rates can be computed, or one sentence."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convarium.errors import ConvariumError
from convarium.recipes import PAPERS, Recipe, read_recipe, with_overrides
from convarium.recipes.reading import recipe_from_dict
from convarium.recipes.schedule import Length

_QUICK = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_FIELDS = st.sampled_from([*Recipe.__dataclass_fields__, "base", "options.dropout", "lr.x"])
_NUMBERS = st.sampled_from("0 1 0.1 2,3 1e9 1e999 99999999999999999999 1e-300 3,2 .5".split())
_UNITS = st.sampled_from(["epochs", "iterations"])
_SCHEDULES = st.one_of(
    st.builds("step {} at {} {}".format, _NUMBERS, _NUMBERS, _UNITS),
    st.builds("step {} every {} {}".format, _NUMBERS, _NUMBERS, _UNITS),
    st.builds("rates {} {} at {} {}".format, _NUMBERS, _NUMBERS, _NUMBERS, _UNITS),
    st.builds("halving {} times {}".format, _NUMBERS, _NUMBERS),
    st.builds("plateau {} patience {} times {}".format, _NUMBERS, _NUMBERS, _NUMBERS),
    st.builds("poly {}".format, _NUMBERS),
    st.builds("{} {} from {} power {}".format, _NUMBERS, _UNITS, _NUMBERS, _NUMBERS),
)
_VALUES = st.one_of(
    st.sampled_from(["true", "none", "nan", "inf", "-1", "zero", "256,480", "[1, 2]", "{a=1}"]),
    _NUMBERS,
    _SCHEDULES,
    st.text(max_size=20),
)


def tried(make, *arguments) -> None:
    """A recipe with finite rates comes, or one printable sentence."""
    try:
        recipe = make(*arguments)
    except ConvariumError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert "\n" not in refusal
    assert len(refusal) < 2000
    if refusal:
        return
    length = recipe.length(10)
    for progress in (0.0, 0.01, 0.5, 0.999, 1.0):
        for run in (length, Length(3, 30)):
            assert 0 <= recipe.lr_at(progress, run, [0.5] * 30) <= 100


@_QUICK
@given(data=st.binary(max_size=200))
def test_files_of_any_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(data)
    tried(read_recipe, path)


@_QUICK
@given(rows=st.lists(st.tuples(_FIELDS, _VALUES, st.booleans()), max_size=5))
def test_files_of_near_recipes(tmp_path: Path, rows: list[tuple[str, str, bool]]) -> None:
    lines = [f"{f} = {repr(value) if quoted else value}" for f, value, quoted in rows]
    path = tmp_path / "r.toml"
    path.write_text("lr = 0.1\nepochs = 9\n" + "\n".join(lines), "utf-8", "surrogatepass")
    tried(read_recipe, path)


@_QUICK
@given(base=st.sampled_from(sorted(PAPERS)), rows=st.lists(st.tuples(_FIELDS, _VALUES), max_size=4))
def test_words_of_set(base: str, rows: list[tuple[str, str]]) -> None:
    tried(with_overrides, PAPERS[base], [f"{field}={value}" for field, value in rows])


@_QUICK
@given(
    told=st.dictionaries(
        _FIELDS, st.none() | st.integers() | st.floats() | st.lists(st.floats(), max_size=3)
    )
)
def test_records_of_any_shape(told: dict[str, object]) -> None:
    tried(lambda: recipe_from_dict(told, base=PAPERS["wrn_cifar"]))
