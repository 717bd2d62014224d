"""Weights in and out: torchvision, timm, akamaster, Caffe, Keras, codebooks, safetensors.

Each public name is fetched on first use: the process that reads a weight file imports the readers
from here, and no torch with them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convarium.interop.export import export_weights
    from convarium.interop.freezing import freeze
    from convarium.interop.load import load_weights
    from convarium.interop.readers import register_reader
    from convarium.interop.report import LoadReport
    from convarium.interop.taps import features_at

# No name here is also that of a file beside: importing the file would put the module in its place.
_HOMES = {
    "LoadReport": "convarium.interop.report",
    "export_weights": "convarium.interop.export",
    "features_at": "convarium.interop.taps",
    "freeze": "convarium.interop.freezing",
    "load_weights": "convarium.interop.load",
    "register_reader": "convarium.interop.readers",
}
__all__ = [
    "LoadReport",
    "export_weights",
    "features_at",
    "freeze",
    "load_weights",
    "register_reader",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
