"""The frame: verbs, exit codes, suggestions, one line of error, closed pipes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib import import_module

import pytest
import typer

from convarium.cli import app, main
from convarium.cli.complaint import complaint
from convarium.errors import ExhaustedError, InputError, MissingExtraError, UsageError

COMMAND = [sys.executable, "-c", "import sys; from convarium.cli import main; sys.exit(main())"]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own."""
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("verb", app.VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example: convarium {verb}" in text
    assert "--json" in text


@pytest.mark.parametrize("verb", app.VERBS)
def test_a_verb_names_a_function_that_exists(verb: str) -> None:
    module, function = app.VERBS[verb][0].split(":")
    assert callable(getattr(import_module(f"convarium.cli.{module}"), function))


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_verb(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    text = capsys.readouterr().out
    assert all(f"  {verb} " in text for verb in app.VERBS)


@pytest.mark.parametrize("group", ["recipe", "data"])
def test_a_group_alone_shows_its_help(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([group]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"Usage: convarium {group}")
    assert "Commands:" in captured.out.splitlines()
    assert captured.err == ""


def test_a_misspelt_verb_gets_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versoin"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Did you mean 'version'" in captured.err
    assert captured.err.count("\n") == 1


def test_a_misspelt_option_gets_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--jsn"]) == 2
    assert "Did you mean --json?" in capsys.readouterr().err


def test_the_traceback_is_shown_on_request_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versoin"]) == main(["versoin", "--debug"]) == 2
    assert capsys.readouterr().err.count("Traceback") == 1


@pytest.mark.parametrize(
    ("error", "exit_code", "words"),
    [
        (UsageError("no network"), 2, "no network"),
        (InputError("bad picture"), 3, "bad picture"),
        (MissingExtraError("needs onnx", "ship"), 4, "pip install 'convarium[ship]'"),
        (ExhaustedError("the disk is full"), 5, "the disk is full"),
        (MemoryError(), 5, "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."), 5, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 5, "disk at /x/y"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 3, "/x: Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (typer.BadParameter("not a number"), 2, "not a number"),
        (ValueError("two\nlines"), 70, "ValueError: two lines"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException, exit_code: int, words: str
) -> None:
    line, code = complaint(error)
    assert code == exit_code
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("kept", "said"),
    [("", "interrupted\n"), ("step 7 is kept.", "interrupted. step 7 is kept.\n")],
)
def test_ctrl_c_in_a_verb_is_told(
    kept: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(pattern: str) -> None:
        raise KeyboardInterrupt(kept)

    verb = typer.Typer(add_completion=False)
    verb.command("list")(stopped)
    monkeypatch.setattr(app, "load_verb", lambda _: typer.main.get_command(verb))
    assert main(["list", "all"]) == 130
    assert capsys.readouterr().err == said


def test_ctrl_c_before_a_verb_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "load_verb", stopped)
    assert main(["version"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_closed_pipe_ends_quietly() -> None:
    process = subprocess.Popen(
        [*COMMAND, "version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


def test_a_working_folder_that_is_gone_is_said() -> None:
    """As `os.getcwd` complains: without a file's name."""
    told = complaint(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    assert told == ("error: the folder that you are in is gone. Change to another one.", 3)
