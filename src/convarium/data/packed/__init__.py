"""Data sets that come as packed arrays: .npz files, MNIST's IDX files, CIFAR's batches."""

from convarium.data.packed.find import Packed, find_packed
from convarium.data.packed.sets import check_packed, load_packed, read_packed

__all__ = ["Packed", "check_packed", "find_packed", "load_packed", "read_packed"]
