"""Readers of weight files: each checks sizes first and gives tensors by name, or one sentence."""

from convarium.interop.readers.model import Foreign
from convarium.interop.readers.registry import read, register_reader

__all__ = ["Foreign", "read", "register_reader"]
