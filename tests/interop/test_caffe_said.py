"""A .caffemodel defines its network too: strides elsewhere are refused, other things are told."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from torch import nn

import convarium
from convarium.errors import InputError
from convarium.interop.definition import definition_notes
from convarium.interop.names_files import caffe_names
from convarium.interop.readers import Foreign
from convarium.interop.readers.caffe_said import said_of
from convarium.interop.readers.model import Said
from convarium.interop.readers.protobuf import fields
from interop.caffe_files import blob, block, number, varint
from interop.peers import same_state

# Fields of caffe.proto: V2 then V1, of a layer's name, type, bottom, top, blobs and settings.
PLACES = (
    {"name": 1, "type": 2, "bottom": 3, "top": 4, "blobs": 7, "conv": 106, "pool": 121, "lrn": 118},
    {"name": 4, "type": 5, "bottom": 2, "top": 3, "blobs": 6, "conv": 10, "pool": 19, "lrn": 18},
)
OLD_TYPES = {"Convolution": 4, "InnerProduct": 14, "Pooling": 17, "LRN": 15, "Eltwise": 25}


def _layer(name: str, kind: str, setting: tuple[str, bytes] | None = None, *, old=False, **more):
    at = PLACES[old]
    message = block(at["name"], name)
    message += number(at["type"], OLD_TYPES[kind]) if old else block(at["type"], kind)
    message += block(at["bottom"], more.get("below", "below")) + block(at["top"], name)
    message += b"".join(block(at["blobs"], blob(a, old=old)) for a in more.get("arrays", ()))
    if setting is not None:
        message += block(at[setting[0]], setting[1])
    return block(2 if old else 100, message)


def _conv(stride: int = 1, pad: int = 0) -> tuple[str, bytes]:
    """As protobuf 2 writes them: a setting that is the usual one is left out."""
    return "conv", number(4, 5) + (number(3, pad) if pad else b"") + number(6, stride)


def _pool(average: bool = False) -> tuple[str, bytes]:
    return "pool", number(1, int(average)) + number(2, 2) + number(3, 2)


def _lenet(model: nn.Module, *, old: bool, first=None, second=None) -> bytes:
    """Caffe's LeNet with the settings of its first convolution and its second pooling."""
    data = b""
    for name, part in {**model.features._modules, **model.classifier._modules}.items():
        arrays = [t.detach().numpy() for t in part.parameters()]
        if name.startswith("conv"):
            given = first if name == "conv1" and first else _conv()
            data += _layer(name, "Convolution", given, old=old, arrays=arrays)
        elif name.startswith("pool"):
            given = second if name == "pool2" and second else _pool()
            data += _layer(name, "Pooling", given, old=old)
        elif arrays:
            data += _layer(name, "InnerProduct", old=old, arrays=arrays)
    return data


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (None, None, None),
        (_conv(pad=2), None, "conv1 pads 2 there, 0 here"),
        (None, _pool(average=True), "1 x average 2 at stride 2, pad 0 there, 1 x max 2 at"),
    ],
)
def test_what_a_lenet_does_otherwise_is_told(tmp_path, old: bool, first, second, told) -> None:
    theirs, ours = (convarium.create_model("lenet_caffe") for _ in range(2))
    path = tmp_path / "w.caffemodel"
    path.write_bytes(_lenet(theirs, old=old, first=first, second=second))
    notes = convarium.load_weights(ours, path).notes
    assert same_state(ours, theirs)
    assert bool(notes) == bool(told)
    assert told is None or told in notes[0]


@pytest.mark.parametrize("old", [False, True])
def test_a_stride_at_another_place_is_refused(tmp_path, old: bool) -> None:
    theirs, ours = (convarium.create_model("lenet_caffe") for _ in range(2))
    (tmp_path / "w.caffemodel").write_bytes(_lenet(theirs, old=old, first=_conv(stride=2)))
    with pytest.raises(InputError, match="conv1: stride 1 expected, file has 2"):
        convarium.load_weights(ours, tmp_path / "w.caffemodel")
    assert not same_state(ours, theirs)


@pytest.mark.parametrize("sums", [0, 4])
def test_a_bypass_is_no_weight_and_is_looked_for(tmp_path, sums: int) -> None:
    """Squeezenet and its simple bypass have one set of names and shapes."""
    theirs = convarium.create_model("squeezenet1_0")
    data = b""
    for name, part in theirs.named_modules():
        if isinstance(part, nn.Conv2d):
            arrays = [t.detach().numpy() for t in part.parameters()]
            path = name.removeprefix("features.").replace(".", "/")
            data += _layer(path, "Convolution", arrays=arrays)
    data += b"".join(_layer(f"bypass{at}", "Eltwise") for at in range(sums))
    data += _layer("pool10", "Pooling", ("pool", number(1, 1) + number(12, 1)))
    (tmp_path / "w.caffemodel").write_bytes(data)
    names = {0: "squeezenet1_0", 4: "squeezenet_simple_bypass"}
    convarium.load_weights(convarium.create_model(names[sums]), tmp_path / "w.caffemodel")
    with pytest.raises(InputError, match=rf"bypasses expected, file has {sums}"):
        convarium.load_weights(convarium.create_model(names[4 - sums]), tmp_path / "w.caffemodel")


@pytest.mark.parametrize(("ours", "refused"), [("resnet50_v1_5", True), ("resnet50", False)])
def test_files_without_strides_have_the_authors(ours: str, refused: bool) -> None:
    with torch.device("meta"):
        model = convarium.create_model(ours)
    assert (caffe_names(model)[0].differs is not None) == refused


def _notes(name: str, said: list[Said]) -> str:
    with torch.device("meta"):
        model = convarium.create_model(name)
    return " ".join(
        definition_notes(model, Foreign({}, "f", said=tuple(said)), *caffe_names(model))
    )


def _said(name: str, kind: str, message: bytes, below: str = "x") -> Said:
    whole = (
        block(1, name)
        + block(3, below)
        + block(4, name)
        + block({"LRN": 118}.get(kind, 121), message)
    )
    found = said_of(name, kind, list(fields(memoryview(whole))), old=False)
    assert found is not None
    return found


def _float(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value)


def test_caffes_normalisation_has_alpha_on_the_mean_and_k_1() -> None:
    """BVLC's AlexNet: alpha 1e-4 over 5 maps is 2e-5 on the sum; the paper has 1e-4 and k 2."""
    norm = number(1, 5) + _float(2, 1e-4) + _float(3, 0.75)
    told = _notes("alexnet_2gpu", [_said(f"norm{n}", "LRN", norm, f"conv{n}") for n in (1, 2)])
    assert "2 x response normalisation of n 5, k 1, alpha 2e-05, beta 0.75 on the sum there" in told
    assert "2 x response normalisation of n 5, k 2, alpha 0.0001, beta 0.75 on the sum here" in told
    assert "behind the poolings" not in told


def test_caffenet_normalises_behind_its_pools() -> None:
    pool, norm = number(2, 3) + number(3, 2), number(1, 5) + _float(2, 5e-4) + _float(5, 2.0)
    said = [_said("pool1", "Pooling", pool), _said("norm1", "LRN", norm, "pool1")]
    said += [_said("pool2", "Pooling", pool), _said("norm2", "LRN", norm, "pool2")]
    told = _notes("alexnet_2gpu", [*said, _said("pool5", "Pooling", pool)])
    assert told.count("not quite this one") == 1
    assert "normalisations stand behind the poolings, here before them" in told


def test_sides_may_be_given_apart_or_packed() -> None:
    packed = block(3, bytes([1, 2])) + number(13, 2) + number(14, 3)
    whole = block(1, "c") + block(106, packed)
    found = said_of("c", "Convolution", list(fields(memoryview(whole))), old=False)
    assert found is not None
    assert found.settings == {"stride": [2, 3], "pad": [1, 2]}


def test_a_layer_without_settings_says_nothing() -> None:
    fields_of = list(fields(memoryview(block(1, "c") + block(7, blob(np.zeros(3, "f4"))))))
    assert said_of("c", "Convolution", fields_of, old=False) is None
