"""Rows -> parameters, multiply-adds, bytes. `cost.table` is what `show` reads, without torch."""
