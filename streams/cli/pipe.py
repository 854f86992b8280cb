"""Standard output and error of a process whose reader may go or disk be full; it knows nothing of what is printed."""

from __future__ import annotations

import asyncio
import io
import os
import select
import stat
import sys
from typing import Any, Final

CODE: Final = 141
"""What a shell answers for a command that a closed pipe ended: 128 and SIGPIPE."""
_UNWRITTEN: Final = 3
"""What is printed cannot be written: the code of whatever is needed and not there."""


class _Pipe(io.FileIO):
    """Nothing hears of a reader that has gone but the command, which ends.

    The signal itself would do so for every connection to a broker, too.
    """

    is_needed = True

    def write(self, data: Any) -> int:
        """Raises SystemExit, which no handler of errors takes for one of its own, when nobody reads any more."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self._leave()
            if self.is_needed:
                raise SystemExit(CODE) from None
            return len(data)
        except OSError as error:
            if self.is_needed:
                self._leave()
                self._tell(error)
                raise SystemExit(_UNWRITTEN) from None
            # A disk has room again some time.
            return len(data)

    def _leave(self) -> None:
        """What is still kept back, and whatever the interpreter's end adds, goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)

    def _tell(self, error: OSError) -> None:
        if self.fileno() != sys.stderr.fileno():
            sys.stderr.write(f"penstock: what is printed cannot be written: {error.strerror}\n")


def end_with_the_reader() -> None:
    """From now on the command ends, quietly, when nobody reads what it prints."""
    sys.stdout, sys.stderr = _guarded(sys.stdout), _guarded(sys.stderr)


def outlive_the_reader() -> None:
    """What serves goes on, and prints no more."""
    for stream in (sys.stdout, sys.stderr):
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if isinstance(raw, _Pipe):
            raw.is_needed = False


def end_unread(loop: asyncio.AbstractEventLoop) -> None:
    """End as soon as the reader goes, though there may be nothing to print for hours."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Pipe) or not stat.S_ISFIFO(os.fstat(raw.fileno()).st_mode):
        return
    out, gone = raw.fileno(), select.poll()
    gone.register(out, 0)

    def end() -> None:
        loop.remove_reader(out)
        if gone.poll(0):
            # At once: there is nothing to save, and clients that are not stopped would complain.
            os._exit(CODE)

    # Of the writing end of a pipe the kernel tells nothing else so.
    loop.add_reader(out, end)


def flush() -> None:
    """Print what was kept back."""
    out: Any = sys.stdout
    if out is not None:
        out.flush()


def _guarded(stream: Any) -> Any:
    if stream is None:
        # It was closed before we began: nobody wants to read it, and its number is not for a file or a connection.
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
    if stream.isatty():
        return stream
    raw = _Pipe(stream.fileno(), "wb", closefd=False)
    is_error = stream is sys.stderr
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=is_error, write_through=is_error
    )
