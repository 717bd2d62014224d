"""Pictures with random damage: read or refused, and nothing else ever comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convarium.data.pictures import BadPicturesError, decode, read_header, strict_pillow
from data.hostile.good import good_kinds

_FORMATS = ("plain.jpg", "progressive.jpg", "cmyk_adobe.jpg", "rgba8.png", "palette4_alpha.png")
_FORMATS += ("grey16.png", "animated.png", "animated.gif", "runs.bmp", "alpha.webp", "turn6.jpg")
_SEEDS = {kind.name: kind.write for kind in good_kinds() if kind.name in _FORMATS}
_EDITS = st.lists(
    st.tuples(
        st.sampled_from("flip put cut repeat".split()), st.floats(0, 1), st.binary(max_size=8)
    ),
    min_size=1,
    max_size=6,
)


def damaged(data: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    """The file after these edits, each at a share of its length."""
    for how, share, what in edits:
        at = int(share * len(data))
        if how == "flip" and data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ (what[0] if what else 1)]) + data[at + 1 :]
        elif how == "put":
            data = data[:at] + what + data[at + len(what) :]
        elif how == "cut":
            data = data[:at] + data[at + len(what) :]
        elif how == "repeat":
            data = data[:at] + data[at // 2 : at] + data[at:]
    return data


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.sampled_from(_FORMATS), edits=_EDITS)
def test_damage_is_read_or_refused(tmp_path, name: str, edits) -> None:
    path = tmp_path / name
    _SEEDS[name](path)
    path.write_bytes(damaged(path.read_bytes(), edits))
    with strict_pillow():
        assert outcome(read_header, path)
        for channels in (1, 3):
            assert outcome(lambda p, c=channels: decode(p, 16, c).shape == (c, 16, 16), path)


def outcome(door: Callable[[Path], object], path: Path) -> object:
    """What the door gives; of a refusal, whether it is one line that names the file."""
    try:
        return door(path)
    except BadPicturesError as error:
        return str(error).isprintable() and error.files[0][0] == path
