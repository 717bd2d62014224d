"""How good a network is on pictures it has not seen, and how fast."""

from convarium.evaluate.classify import Evaluation, Wrong, evaluate
from convarium.evaluate.speed import InferenceSpeed, forward_pass, time_inference
from convarium.evaluate.wilson import wilson_interval

__all__ = [
    "Evaluation",
    "InferenceSpeed",
    "Wrong",
    "evaluate",
    "forward_pass",
    "time_inference",
    "wilson_interval",
]
