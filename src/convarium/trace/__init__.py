"""Any module -> flat rows: one dispatch mode, one module stack; shapes and receptive fields."""

from convarium.trace.attempts import trace_anyhow
from convarium.trace.rows import Op, TensorSpec, TraceRow
from convarium.trace.tracer import TraceError, trace

__all__ = ["Op", "TensorSpec", "TraceError", "TraceRow", "trace", "trace_anyhow"]
