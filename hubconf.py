"""Entry points of torch.hub: each network by its name or alias.

torch.hub.load("OWNER/convarium", "resnet20_cifar", num_classes=10)
"""

import sys
from functools import partial
from pathlib import Path

dependencies = ["torch", "yaml", "safetensors"]
try:
    import convarium as _convarium
except ModuleNotFoundError:
    sys.path.insert(0, str(Path(__file__).parent / "src"))
    import convarium as _convarium


def _entry_points():
    from convarium.catalog import ALIASES

    points = {}
    for name in (*_convarium.list_models(), *ALIASES):
        points[name] = partial(_convarium.create_model, name)
        points[name].__doc__ = _convarium.create_model.__doc__
    return points


globals().update(_entry_points())
