"""`convarium version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

from convarium import __version__
from convarium.cli.output import AsJson, print_json

_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "scikit-learn", "safetensors", "typer")


def version(
    as_json: AsJson = False,
) -> None:
    """Print the versions of convarium, Python and the libraries it runs on.

    \b
    Example: convarium version --json
    """
    libraries = {name: _installed(name) for name in _LIBRARIES}
    if as_json:
        python = platform.python_version()
        print_json({"convarium": __version__, "python": python, "libraries": libraries})
        return
    print(f"convarium {__version__}\npython {platform.python_version()} on {platform.platform()}")
    for name, found in libraries.items():
        print(f"{name} {found or 'is not installed'}")


def _installed(name: str) -> str | None:
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return None
