"""The frame of `convarium VERB`: a table of verbs, loaded when called, and the exit codes.

To add a verb, write `cli/VERB.py` with a function that typer can read, and add a line to VERBS.
The function may return an exit code; it raises a ConvariumError for what the user can mend.
"""

from __future__ import annotations

import io
import sys
import traceback
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from convarium import __version__
from convarium.cli.complaint import INTERRUPTED, complaint
from convarium.cli.interrupts import interrupts_kept
from convarium.cli.output import hush_stdout

# verb: (where its function is, its line in `convarium --help`)
VERBS: dict[str, tuple[str, str]] = {
    "list": ("list_:list_", "List the networks: parameters, multiply-adds, year, input."),
    "show": ("show:show", "Show one network: layers, printed results, departures, recipe."),
    "cost": ("cost:cost", "Count parameters and multiply-adds, layer by layer."),
    "bench": ("bench:bench", "Time networks on this machine; calibrate its latency model."),
    "verify": ("verify:verify", "Hold networks against every number that their papers print."),
    "diff": ("diff:diff", "Tell two networks apart, layer by layer."),
    "train": ("train:train", "Train one network by its short recipe; keep weights and record."),
    "recipe": ("recipe:app", "List, show, compare and check the recipes of training."),
    "eval": ("eval_:eval_", "Evaluate trained weights: top-1 and top-5 with their interval."),
    "predict": ("predict:predict", "Name what is on pictures, by a trained network."),
    "data": ("data:app", "Look pictures over, and what augmentation makes of them."),
    "bakeoff": ("bakeoff:bakeoff", "Race networks on your pictures and draw the picture."),
    "convert": ("convert:convert", "Convert weights of others, or to others' names."),
    "compare": ("compare:compare", "Compare what was run: table, CSV, bubble chart, page."),
    "rerun": ("rerun:rerun", "Repeat a recorded training and say what moved."),
    "doctor": ("doctor:doctor", "Check the installation, this machine and the records."),
    "version": ("version:version", "Print the versions of convarium and what it runs on."),
}
_PLAIN: dict[str, Any] = {"rich_markup_mode": None}  # rich's help takes as long as a whole `list`
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_EPILOG = "Example: convarium bakeoff --data digits"


class _StoppedError(Exception):
    """Ctrl-C, with what it said was kept: of a plain one typer makes an exit without a word."""


class _Verbs(TyperGroup):
    """Knows every verb by its line of help; imports a verb's file only when it is to run."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for verb, (_, line) in VERBS.items():
            self.add_command(TyperCommand(verb, help=line, **_PLAIN))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command to run and its arguments; a misspelt one is refused with suggestions."""
        verb, command, rest = super().resolve_command(ctx, args)
        return verb, load_verb(verb) if verb and command else None, rest

    def invoke(self, ctx: Any) -> Any:
        """Runs the verb. A reader that closed the pipe has had what it wanted: that is no error.

        Raises:
            _StoppedError: Ctrl-C came.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _StoppedError(str(error)) from error
        except BrokenPipeError:
            hush_stdout()
            return 0


def load_verb(verb: str) -> Any:
    """The click command of one verb, from its file."""
    module, function = VERBS[verb][0].split(":")
    found = getattr(import_module(f"convarium.cli.{module}"), function)
    if isinstance(found, typer.Typer):  # a group of verbs
        return typer.main.get_command(found)
    app = typer.Typer(add_completion=False, **_PLAIN)
    app.command(verb)(found)
    return typer.main.get_command(app)


def build() -> Any:
    """The whole command line as one click group."""
    app = typer.Typer(
        name="convarium",
        cls=_Verbs,
        help="Landmark convolutional networks, LeNet-5 to Darknet-53, as their papers have them.",
        epilog=_EPILOG,
        pretty_exceptions_enable=False,
        context_settings=_CONTEXT,
        subcommand_metavar="VERB [OPTIONS]",
        no_args_is_help=False,
        invoke_without_command=True,
        **_PLAIN,
    )
    app.callback()(_global_options)
    return typer.main.get_command(app)


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and gives its exit code (DESIGN.md lists them).

    Args:
        argv: the words behind `convarium`; those of the process when None.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    _write_any_name()
    words = [word for word in words if word != "--debug"]
    try:
        with interrupts_kept():
            code = build().main(words, prog_name="convarium", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # before the verb began
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        hush_stdout()
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outermost door
        if type(error).__name__ == "NoArgsIsHelpError":  # a group of verbs alone
            print(getattr(error, "ctx").get_help())  # noqa: B009 - click's, which typer may carry
            return 0
        if debug:
            traceback.print_exc()
        line, exit_code = complaint(_plain(error))
        print(line, file=sys.stderr)
        return exit_code


def _plain(error: BaseException) -> BaseException:
    return KeyboardInterrupt(str(error)) if isinstance(error, _StoppedError) else error


def _write_any_name() -> None:
    """A file name whose bytes are no UTF-8 cannot end the program when it is printed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _global_options(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; anywhere in the line.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(f"convarium {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
