"""Normalisations against arithmetic, and on their way through a weights file to predict."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from convarium.bakeoff.trained import about_weights, read_trained, scaled_as
from convarium.data import carve, normalised
from convarium.data.normalise import GCN_SCALE, ZCA_BIAS, contrast_normalised
from convarium.errors import InputError, UsageError
from data.view_data import dataset, pictures, recipe

KINDS = ("channel", "channel mean", "pixel mean", "unit", "gcn zca", "lenet")


def _correlated(count: int, side: int, channels: int = 3) -> torch.Tensor:
    """Pictures whose neighbouring pixels are alike, as photographs' are."""
    smooth = torch.nn.functional.interpolate(
        pictures(count, 3, channels).float(), (side, side), mode="bilinear"
    )
    noise = pictures(count, side, channels, seed=7).float() - 128
    return (smooth + 0.2 * noise).clamp(0, 255).to(torch.uint8)


def _with(words: str, pixels: torch.Tensor):
    return normalised(dataset(pixels), recipe(normalise=words))


def test_the_channel_mean_is_taken_off_the_levels() -> None:
    pixels = pictures(30, 8)
    wanted = pixels.numpy() - pixels.numpy().astype(float).mean((0, 2, 3))[None, :, None, None]
    ours = _with("channel mean", pixels).prepare(pixels)
    assert np.allclose(ours.numpy(), wanted, atol=2e-4)


def test_the_mean_picture_is_taken_off_the_levels() -> None:
    pixels = pictures(30, 8)
    wanted = pixels.numpy() - pixels.numpy().astype(float).mean(0)
    assert np.allclose(_with("pixel mean", pixels).prepare(pixels).numpy(), wanted, atol=1e-4)


def test_of_a_mean_picture_the_middle_counts_for_a_crop() -> None:
    pixels = pictures(30, 12)
    data = normalised(dataset(pixels, side=8), recipe(normalise="pixel mean"))
    wanted = pixels.numpy() - pixels.numpy().astype(float).mean(0)
    assert np.allclose(data.prepare(pixels).numpy(), wanted[:, :, 2:10, 2:10], atol=1e-4)


def test_unit_is_a_share_of_the_highest_level() -> None:
    """Wide ResNet section 3 and DenseNet section 4.1 divide SVHN by 255, and no more."""
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3).expand(4, 1, 3, 3)
    row = _with("unit", pixels.contiguous()).prepare(pixels)[0, 0, 0]
    assert torch.allclose(row, torch.tensor([0.0, 0.2, 1.0]), atol=1e-7)


def test_lenets_background_and_ink() -> None:
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2).expand(4, 1, 2, 2)
    background, ink = _with("lenet", pixels.contiguous()).prepare(pixels)[0, 0, 0].tolist()
    assert abs(background + 0.1) < 1e-6
    assert abs(ink - 1.175) < 1e-6


def test_contrast_normalised_pictures_have_mean_0_and_one_length() -> None:
    rows = contrast_normalised(pictures(20, 8))
    assert float(rows.mean(1).abs().max()) < 1e-4
    assert torch.allclose(rows.norm(dim=1), torch.full((20,), GCN_SCALE), rtol=1e-5)
    assert not contrast_normalised(torch.full((1, 3, 8, 8), 9, dtype=torch.uint8)).any()


def test_whitened_pictures_have_the_covariance_that_the_bias_leaves() -> None:
    """A direction of variance v keeps v / (v + bias): near 1 but for the faintest ones."""
    pixels = _correlated(2000, 6)
    data = _with("gcn zca", pixels)
    rows = data.prepare(pixels).flatten(1).double().numpy()
    before = contrast_normalised(pixels).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(before.T, bias=True))
    wanted = (vectors * (values / (values + ZCA_BIAS))) @ vectors.T
    covariance = np.cov(rows.T, bias=True)
    assert np.abs(covariance - wanted).max() < 2e-3
    # Contrast normalisation takes one direction (the mean) off all pictures: 107 of 108 are left.
    clear = values > 20 * ZCA_BIAS
    along = vectors[:, clear].T @ covariance @ vectors[:, clear]
    assert clear.sum() > 20
    assert np.abs(along - np.eye(int(clear.sum()))).max() < 0.06


def test_whitening_is_symmetric_and_keeps_pictures_upright() -> None:
    matrix = _with("gcn zca", _correlated(300, 6)).scale.matrix
    assert torch.allclose(matrix, matrix.T, atol=1e-4)
    assert bool((matrix.diagonal() > 0).all())


def test_large_pictures_are_not_whitened() -> None:
    with pytest.raises(UsageError, match="4096 values, not 4800"):
        _with("gcn zca", pictures(2, 40))


@pytest.mark.parametrize("words", KINDS)
def test_only_the_training_part_is_measured(words) -> None:
    data = dataset(_correlated(40, 6))
    other = replace(data, test=dataset(pictures(40, 6, seed=9)).train)
    images = pictures(3, 6, seed=4)
    first, second = (normalised(d, recipe(normalise=words)) for d in (data, other))
    assert torch.equal(first.prepare(images), second.prepare(images))


@pytest.fixture
def saved(tmp_path):
    """Weights of a network of 28 px that say how their pictures are normalised."""

    def save(words: str):
        data = _with(words, _correlated(30, 28, 1))
        path = tmp_path / "last.safetensors"
        about = about_weights("lenet_caffe", data, path)
        save_file({"nothing": torch.zeros(1)}, path, metadata=about)
        return data, path

    return save


@pytest.mark.parametrize("words", KINDS)
def test_predict_sees_what_training_saw(saved, tmp_path, words) -> None:
    data, weights = saved(words)
    pixels = data.test.images([7])
    Image.fromarray(pixels[0, 0].numpy()).save(tmp_path / "seven.png")
    images, _, bad = read_trained(weights).form.read([tmp_path / "seven.png"])
    assert not bad
    assert torch.equal(images, data.prepare(pixels))
    again = scaled_as(dataset(_correlated(30, 28, 1)), weights)
    assert torch.equal(again.prepare(pixels), data.prepare(pixels))


def _gone(path) -> None:
    path.unlink()


def _another(path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def _folder(path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_gone, "last.normalise is missing: it has how pictures are normalised"),
        (_another, "is not the one written with the weights"),
        (_folder, "cannot be read"),
    ],
)
@pytest.mark.parametrize("words", ["pixel mean", "gcn zca"])
def test_a_normalisation_that_is_not_there(saved, damage, message, words) -> None:
    _, weights = saved(words)
    damage(weights.with_suffix(".normalise"))
    with pytest.raises(InputError, match=message):
        read_trained(weights)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "whose mean is not"),
        ({"mean": torch.zeros(1, 27, 28)}, "whose mean is not"),
        ({"mean": torch.zeros(1, 28, 28).double()}, "whose mean is not"),
        ({"mean": torch.full((1, 28, 28), float("nan"))}, "mean is not finite"),
    ],
)
def test_a_normalisation_that_cannot_be(saved, tensors, message) -> None:
    _, weights = saved("pixel mean")
    beside = weights.with_suffix(".normalise")
    save_file(tensors, beside)
    about = about_weights("lenet_caffe", dataset(_correlated(30, 28, 1)))
    digest = hashlib.sha256(beside.read_bytes()).hexdigest()
    about |= {"normalise": "pixel mean", "normalise_sha256": digest}
    save_file({"nothing": torch.zeros(1)}, weights, metadata=about)
    with pytest.raises(InputError, match=message):
        read_trained(weights)


@pytest.mark.parametrize(
    "about", [{"normalise": "pca"}, {"std": "[0]"}, {"mean": "[NaN]"}, {"mean": json.dumps([])}]
)
def test_words_of_a_normalisation_that_cannot_be(saved, about) -> None:
    data, weights = saved("channel")
    lies = {**about_weights("lenet_caffe", data), **about}
    save_file({"nothing": torch.zeros(1)}, weights, metadata=lies)
    with pytest.raises(InputError, match="its metadata"):
        read_trained(weights)


@pytest.mark.parametrize("words", ["channel", "channel mean", "pixel mean"])
def test_what_is_held_out_for_validation_is_not_measured(words) -> None:
    pixels = pictures(40, 8)
    data = dataset(pixels)
    part, held = carve(data.train, share=0.25)
    assert len(held) == 10
    seen = part.images(range(30)).numpy().astype(float)
    axes = 0 if words == "pixel mean" else (0, 2, 3)
    mean, std = (f(seen, axis=axes, keepdims=True) for f in (np.mean, np.std))
    wanted = (pixels.numpy() - mean) / (std if words == "channel" else 1)
    ours = normalised(data, recipe(normalise=words, validation=0.25)).prepare(pixels)
    assert np.allclose(ours.numpy(), wanted, atol=2e-4)


def test_whitening_is_measured_on_all_as_the_script_for_maxout_networks_does() -> None:
    data = dataset(_correlated(200, 6))
    parts = [normalised(data, recipe(normalise="gcn zca", validation=v)).scale for v in (0, 0.2)]
    assert torch.equal(parts[0].matrix, parts[1].matrix)


def test_without_a_validation_part_the_data_sets_own_scale_stays() -> None:
    data = dataset(pictures(30, 8))
    assert normalised(data, recipe(normalise="channel")).scale is data.scale
