"""Weights in and out: torchvision, timm, akamaster, Caffe, Keras, codebooks, safetensors."""

from convarium.interop.export import export_weights
from convarium.interop.freeze import freeze
from convarium.interop.load import load_weights
from convarium.interop.readers import register_reader
from convarium.interop.report import LoadReport
from convarium.interop.taps import features_at

__all__ = [
    "LoadReport",
    "export_weights",
    "features_at",
    "freeze",
    "load_weights",
    "register_reader",
]
