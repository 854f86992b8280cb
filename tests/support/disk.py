"""A small real file system of a test's own, which can be filled to the last byte and freed again; nothing of it stays."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Disk:
    """`path` leads there for every process of ours, though it is mounted in a name space that nobody lives in."""

    path: Path

    def fill(self) -> None:
        """Take all the room that is left."""
        with (self.path / "filler").open("ab", buffering=0) as file:
            for size in (_CHUNK, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC  # noqa: PT017  no test of ours: that is how a disk says it

    def free(self) -> None:
        """Give the room back."""
        (self.path / "filler").unlink()

    def holds(self, folder: Path) -> None:
        """From now on a folder that is not there yet lies on this disk."""
        (self.path / folder.name).mkdir()
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(self.path / folder.name)


@contextmanager
def disk(directory: Path, mebibytes: int) -> Iterator[Disk]:
    """A disk of that size. Who is not root needs user name spaces for it; without either the test fails, and says so."""
    directory.mkdir()
    mount = f'mount -t tmpfs -o size={mebibytes}m tmpfs "$0" && echo mounted && exec cat'
    spaces = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-m"]
    # cat ends when its input does: also when the tests are killed, and the mount goes with its last process.
    holder = subprocess.Popen(
        [*spaces, "sh", "-c", mount, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"mounted\n":
            _, said = holder.communicate()
            pytest.fail(
                f"no small disk can be mounted ({said.decode().strip()}): run the tests as root, or allow user name "
                f"spaces (sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0)"
            )
        yield Disk(Path(f"/proc/{holder.pid}/root{directory}"))
    finally:
        holder.kill()
        holder.communicate()
