"""A real PostgreSQL of a test's own, from Debian's packages: installed, or fetched into the cache without root."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.running import free_port, until

_CACHE = Path.home() / ".cache/penstock/postgresql"
_NOBODY = 65534
"""postgres refuses to run as root."""


def binaries() -> Path:
    """Where initdb and postgres are; fails the test with what to do when they are nowhere."""
    for root in (Path("/"), _CACHE):
        found = sorted(root.glob("usr/lib/postgresql/*/bin/initdb"))
        if found:
            return found[-1].parent
    _fetch()
    found = sorted(_CACHE.glob("usr/lib/postgresql/*/bin/initdb"))
    if not found:
        pytest.fail("PostgreSQL is missing, and could not be fetched: apt-get install postgresql")
    return found[-1].parent


def _fetch() -> None:
    _CACHE.mkdir(parents=True, exist_ok=True)
    asked = subprocess.run(["apt-cache", "depends", "postgresql"], capture_output=True, text=True, check=False)
    server = next((word for word in asked.stdout.split() if word.startswith("postgresql-") and word[11:].isdigit()), "")
    if server:
        subprocess.run(["apt-get", "download", server, "libpq5"], cwd=_CACHE, check=False, capture_output=True)
    for package in _CACHE.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, _CACHE], check=True)


@contextmanager
def postgresql() -> Iterator[str]:
    """Its connection string."""
    where, port = binaries(), free_port()
    user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    env = {**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": str(_CACHE / "usr/lib/x86_64-linux-gnu")}
    with tempfile.TemporaryDirectory() as place:
        if user:
            os.chown(place, _NOBODY, _NOBODY)
        words = ["-D", f"{place}/data", "-U", "penstock", "-A", "trust", "-N", "-E", "UTF8"]
        subprocess.run([where / "initdb", *words], env=env, cwd=place, check=True, capture_output=True, **user)
        words = ["-D", f"{place}/data", "-p", str(port), "-k", place, "-h", "127.0.0.1"]
        with Path(place, "out").open("wb") as out:
            process = subprocess.Popen([where / "postgres", *words], env=env, cwd=place, stdout=out, stderr=out, **user)
        try:
            ready = [where / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
            until(lambda: subprocess.run(ready, env=env, capture_output=True, check=False).returncode == 0)
            yield f"host=127.0.0.1 port={port} user=penstock dbname=postgres"
        finally:
            process.terminate()
            process.wait(60)
