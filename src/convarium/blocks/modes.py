"""The dispatch mode that ours are made of: torch's own, without the compiler that it would load."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class PlainMode(TorchDispatchMode):
    """A mode that torch.compile is not told to leave alone: it never sees one.

    To tell it, torch loads the whole of `torch._dynamo` at a mode's first operator, a second and
    more, and calls through two more functions at every one.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
