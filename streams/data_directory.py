"""How a data directory is known for one, so that nobody takes what lies in it for manifests; it makes none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

MARKER: Final = ".penstock-data"
_WORDS: Final = "This is a data directory of penstock: manifests below it are not read.\n"


def mark(directory: Path) -> None:
    """Mark a directory that is there; on a full disk it stays unmarked."""
    with suppress(OSError):
        if not is_data(directory):
            (directory / MARKER).write_text(_WORDS)


def is_data(directory: Path) -> bool:
    """Whether it is a data directory, of whichever run."""
    # Path.exists raises where a folder may be listed and not entered.
    return os.path.exists(directory / MARKER)  # noqa: PTH110


def inside(directory: Path, data: Path | None = None) -> str | None:
    """Why manifests cannot be there: it is, or lies in, a data directory, or `data`, which is to become one."""
    place = directory.resolve()
    for above in (place, *place.parents):
        if is_data(above) or (data is not None and above == data.resolve()):
            remedy = "keep manifests elsewhere, or name another data directory"
            return f"{directory} lies in the data directory {above}: {remedy}"
    return None
