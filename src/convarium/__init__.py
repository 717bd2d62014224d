"""convarium: landmark convolutional networks, LeNet-5 to Darknet-53, as their papers have them.

Importing this package loads no torch; each public name is fetched on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convarium.api import (
        create_model,
        diff,
        export_weights,
        features_at,
        freeze,
        load_weights,
        max_batch,
        measure_cost,
        predict_memory,
        verify,
    )
    from convarium.catalog import list_models
    from convarium.errors import ConvariumError
    from convarium.facts import ModelFacts

__version__ = "0.1.0"
_HOMES = {
    "ConvariumError": "convarium.errors",
    "ModelFacts": "convarium.facts",
    "create_model": "convarium.api",
    "diff": "convarium.api",
    "list_models": "convarium.catalog",
    "max_batch": "convarium.api",
    "export_weights": "convarium.api",
    "features_at": "convarium.api",
    "freeze": "convarium.api",
    "load_weights": "convarium.api",
    "measure_cost": "convarium.api",
    "model_facts": "convarium.api",
    "predict_memory": "convarium.api",
    "verify": "convarium.api",
}
__all__ = [
    "ConvariumError",
    "ModelFacts",
    "__version__",
    "create_model",
    "diff",
    "export_weights",
    "features_at",
    "freeze",
    "list_models",
    "load_weights",
    "max_batch",
    "measure_cost",
    "model_facts",
    "predict_memory",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'convarium' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
