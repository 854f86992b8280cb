"""The text of a manifest's file, read so that nothing hangs and what is no file is not touched; it judges no text."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

FILE_BYTES = 64 << 20
_PLACE = "put the manifest in its place, or remove it"
EMPTY_FOLDER = f"is an empty folder, not a file: {_PLACE}"
"""Where a file was to be mounted that is not there, container runtimes make one."""
_KINDS = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"))
_REMEDIES = {
    errno.EACCES: ": let the user that runs penstock read it, and enter its folders",
    errno.EPERM: ": let the user that runs penstock read it, and enter its folders",
    errno.EIO: ": repair or remove it",
}


class NoFile(ValueError):  # noqa: N818
    """A pipe, a socket, a device, or a link that leads nowhere: nothing that says anything."""


class NoText(ValueError):  # noqa: N818
    """The file cannot be taken as a whole; `line` counts from 1, 0 is all of it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def text_of(path: Path) -> str:
    """The file's text, with plain line ends. Raises NoFile and NoText; both name the remedy."""
    try:
        # Looked at first: opening a device may do something.
        _check(path.stat().st_mode)
        # A pipe that has taken its place since would wait for a writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as file:
            _check(os.fstat(file.fileno()).st_mode)
            content = file.read(FILE_BYTES + 1) or b""
    except OSError as error:
        _check_link(path, error)
        words = f"{error.strerror or error}{_REMEDIES.get(error.errno or 0, '')}"
        raise NoText(0, f"cannot be read: {words}") from None
    if len(content) > FILE_BYTES:
        raise NoText(1, f"is larger than {FILE_BYTES >> 20} MiB: split it")
    try:
        return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise NoText(line, "is no UTF-8 text: save it as UTF-8") from None


def shown(path: str | Path) -> str:
    """A path as text that every record takes: a name may hold bytes that are none."""
    return os.fsencode(path).decode(errors="replace")


def _check(mode: int) -> None:
    for is_one, name in _KINDS:
        if is_one(mode):
            msg = f"is a {name}, not a file: {_PLACE}"
            raise NoFile(msg)


def _check_link(path: Path, error: OSError) -> None:
    if error.errno == errno.ELOOP:
        raise NoFile("is a link that leads in a circle: link to a file, or remove it") from None
    if error.errno == errno.ENOENT and path.is_symlink():
        msg = f"links to {shown(path.readlink())}, which is not there: bring that back, or remove the link"
        raise NoFile(msg) from None
