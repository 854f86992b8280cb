"""Envoys of two versions, and one more of a Gateway than penstock runs: what upgrades and odd machines look like.

The older one is made of the packaged one: it says to be older, and knows nothing of the setting by which a regular
expression may be larger than Envoy's own limit (of which it complains in its log). All else of it is as it is.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from streams.identity import proxy_token
from streams.main import ads_socket
from streams.settings import Settings
from streams.sinks.bootstrap import bootstrap
from streams.sinks.local_envoy import envoy_binary

OLDER, NEWER = "1.39.0", "1.40.0"
_CHANGED = {
    b"\0" + NEWER.encode() + b"\0": b"\0" + OLDER.encode() + b"\0",
    b"\0re2.max_program_size.error_level\0": b"\0re2.max_program_size.error_levul\0",
}
LARGE = "(abcdefghij){20}"
"""A regular expression that the newer one takes, and the older one does not."""
_MINE = 'case "$*" in *"%s"*) exec %s "$@";; esac\n'


class Envoys:
    """`path` is what `--envoy` names: the older one to begin with, for proxies and for the isolated one alike.

    `started` has a line for each time that one was started.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self.older, self.started = folder / "envoy", folder / "older-envoy", folder / "started"
        body = envoy_binary(None).read_bytes()
        for one, other in _CHANGED.items():
            assert body.count(one) == 1, f"the packaged Envoy is another than this was written for: {one!r}"
            body = body.replace(one, other)
        self.older.write_bytes(body)
        self.older.chmod(0o755)
        self.run()

    def run(self, version: str = OLDER, newer_for: str = "") -> None:
        """Which one is run from now on; the newer one also for command lines with these words in them."""
        newer, older = envoy_binary(None), self.older
        script = _MINE % (newer_for, newer) if newer_for else ""
        temporary = self.path.with_suffix(".new")
        noted = f'echo "$*" >> {self.started}\n'
        temporary.write_text(f'#!/bin/sh\n{noted}{script}exec {older if version == OLDER else newer} "$@"\n')
        temporary.chmod(0o755)
        temporary.replace(self.path)


class Beside:
    """An Envoy that somebody else runs; asked over its admin page."""

    def __init__(self, name: str, admin: Path) -> None:
        self.name = name
        self._admin = admin

    def runs(self, words: str) -> bool:
        """Whether these stand in its routes."""
        connection = HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self._admin))
            connection.request("GET", "/config_dump?resource=dynamic_route_configs")
            return words in connection.getresponse().read().decode()
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def beside(data: Path, gateway: str, envoy: Path, name: str = "beside") -> Iterator[Beside]:
    """One more proxy of a Gateway, in a network of its own: the Gateway's port is free there."""
    folder, settings = data.parent, Settings(data=data)
    token = proxy_token((data / "keys" / "sealing.key").read_bytes(), gateway)
    config = bootstrap(gateway, f"{gateway}~{name}", str(ads_socket(settings)), token)
    admin, path = folder / f"{name}.sock", folder / f"{name}.json"
    config["admin"] = {"address": {"pipe": {"path": str(admin)}}}
    path.write_text(json.dumps(config))
    spaces = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-n"]
    command = [str(envoy), "-c", str(path), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
    with (folder / f"{name}.log").open("wb") as out:
        process = subprocess.Popen(
            [*spaces, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command], stdout=out, stderr=out
        )
    try:
        yield Beside(name, admin)
        assert process.poll() is None, (folder / f"{name}.log").read_text()
    finally:
        process.kill()
        process.wait()
