"""This machine: what it is, how fast it is, what it draws, and which plan suits a network."""

from convarium.machine.describe import describe_machine
from convarium.machine.devices import default_device, device_label, known_device, sent
from convarium.machine.energy import Counter, Energy, joules_per_pass
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
    "default_device",
    "describe_machine",
    "device_label",
    "freed_memory_kept",
    "give_back",
    "interleaved",
    "joules_per_pass",
    "known_device",
    "laps_in_turns",
    "sent",
]
