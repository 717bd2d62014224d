"""Near duplicates: found after what people do to copies, and in linear work."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from convarium.data.near import ALIKE, RADIUS, WINDOW, Pair, near_pairs, small_version


def smaller(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2))


def saved_anew(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer).convert("RGB")


def brighter(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.1)


def grey(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


@pytest.fixture(scope="module")
def photographs(shared_data: Path) -> list[Image.Image]:
    """Sixty different ones."""
    files = sorted((shared_data / "ants-bees").rglob("*.jpg"))[::6][:60]
    return [Image.open(path).convert("RGB") for path in files]


@pytest.mark.data
@pytest.mark.parametrize("change", [smaller, saved_anew, brighter, grey])
def test_a_changed_copy_is_found_and_no_other_picture(
    photographs: list[Image.Image], change: Callable[[Image.Image], Image.Image]
) -> None:
    small = [small_version(image) for image in photographs]
    small += [small_version(change(image)) for image in photographs]
    count = len(photographs)
    found = {(pair.first, pair.second) for pair in near_pairs(np.stack(small))}
    wanted = {(at, at + count) for at in range(count)}
    assert found <= wanted
    assert len(found) >= 0.95 * count


def of_bits(bits: np.ndarray) -> np.ndarray:
    """(N, 64) bits -> (N, 9, 9) grey versions that rise across the rows where a bit is set."""
    steps = np.where(bits.reshape(-1, 8, 8) == 1, 25, -25)
    small = np.full((len(bits), 9, 9), 128.0)
    small[:, :8, 1:] += np.cumsum(steps, 2) / 2
    return small.clip(0, 255).astype(np.uint8)


def test_identical_versions_are_paired_with_the_first() -> None:
    one = of_bits(np.random.default_rng(0).integers(0, 2, (1, 64)))
    pairs = near_pairs(np.repeat(one, 4, 0))
    assert pairs == [Pair(0, 1, 0), Pair(0, 2, 0), Pair(0, 3, 0)]


def test_blank_pictures_are_no_pairs() -> None:
    assert near_pairs(np.full((5, 9, 9), 80, np.uint8)) == []
    assert near_pairs(np.empty((0, 9, 9), np.uint8)) == []


def hamming_pairs(small: np.ndarray) -> set[tuple[int, int]]:
    """Every pair within the radius, by comparing all with all, from the definition of the hash."""
    levels = small.astype(int)
    across = levels[:, :8, 1:] > levels[:, :8, :8] + 2
    down = levels[:, 1:, :8] > levels[:, :8, :8] + 2
    bits = np.concatenate([across.reshape(-1, 64), down.reshape(-1, 64)], 1)
    normal = small.reshape(len(small), -1) - small.reshape(len(small), -1).mean(1, keepdims=True)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return {
        (a, b)
        for a in range(len(small))
        for b in range(a + 1, len(small))
        if (bits[a] != bits[b]).sum() <= RADIUS and normal[a] @ normal[b] >= ALIKE
    }


def test_the_bands_miss_no_pair_of_all_with_all() -> None:
    random = np.random.default_rng(1)
    base = random.integers(0, 256, (100, 9, 9)).astype(int)
    noise = random.normal(0, 4, (100, 9, 9))
    small = np.concatenate([base, base + noise]).clip(0, 255).astype(np.uint8)
    expected = hamming_pairs(small)
    assert len(expected) >= 20
    assert {(pair.first, pair.second) for pair in near_pairs(small)} == expected


def test_the_work_is_linear_in_the_number_of_pictures() -> None:
    # The pictures share most of their bits, so that every band is crowded.
    small = np.random.default_rng(2).integers(0, 256, (600, 9, 9)).astype(np.uint8)
    small[:, :7] = small[0, :7]
    told: dict[str, int] = {}
    near_pairs(small, counts=told)
    # All with all in each of the 11 bands would be 2 million comparisons.
    assert 600 <= told["compared"] <= (RADIUS + 1) * WINDOW * 600 == 1_320_000
