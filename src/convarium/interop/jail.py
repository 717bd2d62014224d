"""The process in which weight files are read: little memory, no code from the file.

Called as `main()` with five words: the reader as "module:function", the file, where to write, the
most bytes of tensors, and the most bytes of memory that the reading may ask for. Writes safetensors
and prints one JSON object: the keys in their order and what else the file tells, or the error.

Few imports: without torch such a process starts in a quarter of a second, with it in seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from convarium.errors import ConvariumError
from convarium.interop.limits import limit_memory
from convarium.interop.readers.model import About, Arrays, Foreign


class RefusedError(Exception):
    """A sentence without its subject, the file."""


def main() -> None:
    """Reads, checks and writes; leaves one line on stdout and an exit code."""
    reader, path, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    budget, memory = int(sys.argv[4]), int(sys.argv[5])
    read = named(reader)  # with its libraries: what they take is not limited
    limit_memory(memory)
    try:
        answer = _written(read(path, budget), out)
    except RefusedError as error:
        answer = {"error": f"{path} {error}"}
    except ConvariumError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"memory": True}
    except Exception as error:  # noqa: BLE001 - whatever a file of strangers makes a library raise
        text = " ".join(str(error).split()) or type(error).__name__
        answer = {"error": f"{path} cannot be read: {text[:200]}"}
    print(json.dumps(answer))
    sys.exit(0 if "keys" in answer else 1)


def named(reader: str) -> Callable[[Path, int], Arrays | Foreign]:
    """The function that "module:function" names."""
    module, _, function = reader.partition(":")
    found: Callable[[Path, int], Arrays | Foreign] = getattr(import_module(module), function)
    return found


def _written(held: Arrays | Foreign, out: Path) -> dict[str, Any]:
    """Writes the numbers to `out`; gives their keys and the fields of `About`."""
    if isinstance(held, Foreign):
        from safetensors.torch import save_file as save_tensors

        keys = list(held.tensors)
        save_tensors(dict(held.tensors), out)
    else:
        keys = list(held.arrays)
        save_file(dict(held.arrays), out)
    about = {field.name: getattr(held, field.name) for field in fields(About)}
    return {"keys": keys, "about": about | {"said": [asdict(said) for said in held.said]}}
