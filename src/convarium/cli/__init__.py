"""The command line: one file a verb, arguments in, one call below, text or JSON out."""

from convarium.cli.app import VERBS, main

__all__ = ["VERBS", "main"]
