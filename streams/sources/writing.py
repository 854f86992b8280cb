"""Which files somebody has open for writing: what they hold now is no state of them. It reads none."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 30.0
"""As long as a file is waited for: one that stays open is believed then."""


class Writers:
    """Asks the kernel for a read lease, which it refuses (EAGAIN) while anybody has the file open for writing.

    That is so on local file systems, and for files of the user that asks, or for root (fcntl(2), F_SETLEASE). Of all
    others nothing is known, and they are taken as they are: some, such as NFS, refuse every lease in the same words,
    so a device is believed only once it granted one. `clock` counts seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._granting: set[int] = set()
        self._since: dict[str, float] = {}
        self.late: set[str] = set()
        """Files that are open for longer than is waited."""

    @property
    def unfinished(self) -> set[str]:
        """Files that are waited for."""
        return self._since.keys() - self.late

    def learn(self, paths: Iterable[Path]) -> None:
        """Find one of these for which a lease is granted, unless that is known to happen."""
        for path in paths:
            if self._granting:
                return
            self._is_open(path)

    def is_whole(self, name: str, path: Path, *, moved: bool = False) -> bool:
        """Whether the file at `path` can be believed: nobody writes it, nor did (`moved`), or that takes too long."""
        if not (moved or self._is_open(path)):
            self.forget(name)
            return True
        if self._clock() - self._since.setdefault(name, self._clock()) >= PATIENCE_SECONDS:
            self.late.add(name)
        return name in self.late

    def forget(self, name: str) -> None:
        """It is not written any more, or gone."""
        self._since.pop(name, None)
        self.late.discard(name)

    def _is_open(self, path: Path) -> bool:
        try:
            # Looked at first: opening a device may do something.
            if not stat.S_ISREG(path.stat().st_mode):
                return False
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            device = os.fstat(file).st_dev
            # Who opens it in these microseconds waits until we have closed it; we are told by a signal, and SIGIO,
            # the one that is sent otherwise, would end the process.
            fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN and device in self._granting
        else:
            self._granting.add(device)
            return False
        finally:
            os.close(file)
