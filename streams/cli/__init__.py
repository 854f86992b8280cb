"""The command line: thin commands over the adapters; what a user sees of an error is one clear line.

Importing it imports nothing else, so that Ctrl-C is quiet while the rest is imported.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams.cli.application import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line. Ctrl-C ends it at once with code 130, where a command has no better way to end."""
    # A shell lets what it starts in the background ignore it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from streams.cli.application import run_command  # noqa: PLC0415  takes a fifth of a second

    run_command()


def __getattr__(name: str) -> Any:
    """`app`, imported when it is asked for."""
    if name != "app":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from streams.cli import application  # noqa: PLC0415

    return application.app
