"""This machine: what it is, how fast it is, what it draws, and which plan suits a network."""

from convarium.machine.describe import describe_machine
from convarium.machine.energy import Counter, Energy
from convarium.machine.memory import PeakMemory, freed_memory_kept, give_back
from convarium.machine.plan import Plan, answering
from convarium.machine.probe import choose_plan
from convarium.machine.stopwatch import Timing, interleaved, laps_in_turns

__all__ = [
    "Counter",
    "Energy",
    "PeakMemory",
    "Plan",
    "Timing",
    "answering",
    "choose_plan",
    "describe_machine",
    "freed_memory_kept",
    "give_back",
    "interleaved",
    "laps_in_turns",
]
