"""The command line: one file a verb, arguments in, one call below, text or JSON out."""

from convarium.cli.app import main

__all__ = ["main"]
