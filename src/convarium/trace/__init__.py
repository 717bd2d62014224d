"""Any module -> flat rows: one dispatch mode, one module stack; shapes and receptive fields."""

from convarium.trace.rows import Op, TensorSpec, TraceRow
from convarium.trace.tracer import trace

__all__ = ["Op", "TensorSpec", "TraceRow", "trace"]
