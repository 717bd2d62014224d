"""The language of the rows files: sizes, wiring, repeats, and errors that name the row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convarium.errors import InputError
from convarium.facts import LayerRow
from convarium.facts.expand import Block, Entry, expand
from convarium.facts.rowline import read_layer, read_line, read_width
from convarium.facts.rowmath import side_out

BLOCKS = {
    "twice": Block(("w",), ("a conv 1x1 $w", "b conv 3x3 p1 $w")),
    "ends": Block(("w",), ("a conv 1x1 $w", "b conv 1x1 $w <- in", "out <- a b")),
    "residual": Block(("w",), ("run twice $w", "add add <- run in")),
}


def rows(*lines: str, bias: bool = True, bn: str = "none") -> dict[str, LayerRow]:
    entry = Entry("net", (4, 9, 9), bias, bn, "Table 1", "sourced", lines, {"k": "2", "n": "3"})
    return {row.name: row for row in expand(entry, BLOCKS)}


def test_line_in_parts() -> None:
    line = read_line("pool max_pool 3x3/2 ceil <- a b -> 64x5x5 @? figure 2")
    assert (line.name, line.kind, line.words) == ("pool", "max_pool", ("3x3/2", "ceil"))
    assert (line.inputs, line.output) == (("a", "b"), (64, 5, 5))
    assert (line.where, line.recalled) == ("figure 2", True)


def test_unprinted_pad_is_used_and_not_shown() -> None:
    row = rows("c conv 3x3 p?1 8")["c"]
    assert row.pad is None
    assert row.output == (8, 9, 9)


@given(side=st.integers(1, 40), kernel=st.integers(1, 7), stride=st.integers(1, 4))
def test_sides_are_counted_windows(side: int, kernel: int, stride: int) -> None:
    if side < kernel:
        return
    inside = [left for left in range(0, side, stride) if left + kernel <= side]
    over = inside[-1] + kernel < side  # something is left over for one more window
    assert side_out(side, kernel, stride, 0) == len(inside)
    assert side_out(side, kernel, stride, 0, ceil=True) == len(inside) + over


def test_caffe_drops_a_window_in_the_padding() -> None:
    # 4 pixels, pad 1, window 2/2: starts -1, 1, 3 reach the picture; a fourth at 5 would not.
    assert side_out(4, 2, 2, 1, ceil=True) == 3
    assert side_out(3, 2, 2, 1, ceil=True) == 2


def test_names_wiring_and_repeats() -> None:
    found = rows("x{1..$n} residual 4", "fc linear 10")
    assert list(found)[:3] == ["x1/run/a", "x1/run/b", "x1/add"]
    assert found["x2/run/a"].inputs == ("x1/add",)
    assert found["x3/add"].inputs == ("x3/run/b", "x2/add")
    assert found["fc"].input == (4, 9, 9)


def test_empty_repeat_leaves_no_row() -> None:
    assert list(rows("a{2..1} conv 1x1 8", "fc linear 1")) == ["fc"]


def test_block_with_two_ends() -> None:
    found = rows("two ends 8", "join concat <- two input")
    assert found["join"].inputs == ("two/a", "two/b", "input")
    assert found["join"].output == (20, 9, 9)


def test_parameters_and_macs_by_hand() -> None:
    found = rows("c conv 3x3/2 p1 g2 8", "d conv 1x1 nobias bn in*1/2", "fc linear 10")
    assert (found["c"].params, found["c"].macs) == (2 * 8 * 9 + 8, 2 * 8 * 9 * 25)
    assert (found["d"].params, found["d"].bn_params, found["d"].output) == (8 * 4, 8, (4, 5, 5))
    assert (found["fc"].params, found["fc"].macs) == (100 * 10 + 10, 1000)


def test_batch_norm_before_counts_the_input() -> None:
    found = rows("c conv 1x1 8", "d conv 1x1 nobn 8 <- input", bias=False, bn="before")
    assert (found["c"].bn_params, found["d"].bn_params) == (8, 0)
    assert found["c"].params == 32


def test_depthwise_has_a_group_a_map() -> None:
    row = rows("c conv 3x3 p1 dw")["c"]
    assert (row.groups, row.output, row.macs) == (4, (4, 9, 9), 4 * 9 * 81)


def test_widths_round_down() -> None:
    assert read_width("in*1/2", 25) == 12


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("c conv 3x3 8 -> 9", "the paper's size"),
        ("c conv 3x3 8 -> 8x9x9", "the paper's size"),
        ("c conv 3x3 p1", "a width is missing"),
        ("c conv 8", "needs a kernel"),
        ("c conv 3x5 8", "not square"),
        ("c conv 3x3 g3 8", "groups"),
        ("c conv 3x3 __import__('os') 8", "no word of a row"),
        ("c fold 3x3", "nothing is named 'fold'"),
        ("c conv 1x1 8 <- nowhere", "nowhere"),
        ("c conv 1x1 $none", "nothing is named 'none'"),
        ("c", "has no kind"),
        ("c twice", "twice takes ('w',), not ()"),
    ],
)
def test_errors_name_network_and_row(line: str, says: str) -> None:
    with pytest.raises(InputError, match=r"net: row .*c") as caught:
        rows(line)
    assert says in str(caught.value)


def test_shapes_that_do_not_join() -> None:
    with pytest.raises(InputError, match="cannot add"):
        rows("a conv 1x1 8", "s add <- a input")
    with pytest.raises(InputError, match="cannot concatenate"):
        rows("a conv 3x3 8", "s concat <- a input")
    with pytest.raises(InputError, match="name is taken"):
        rows("a conv 1x1 8", "a conv 1x1 8")


def test_option_a_takes_a_smaller_shortcut_and_no_other() -> None:
    found = rows("a conv 3x3/2 p1 8", "s add padded <- a input")
    assert found["s"].output == (8, 5, 5)
    with pytest.raises(InputError, match="cannot add"):
        rows("a conv 3x3/3 8", "s add padded <- a input")


def test_unknown_word() -> None:
    with pytest.raises(ValueError, match="no word of a row"):
        read_layer(("3x3", "pad1"))
