"""What Lua in many places costs Envoy's memory. `python -m tests.benchmarks.lua_machines`.

The runtime of templates in 64 filter chains, each with a Lua machine of its own and with one that all share; and 1,000
routes, each with a script of its own and with a program for the runtime.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.templates import runtime
from streams.sinks.local_envoy import envoy_binary
from tests.support.running import free_port

_TYPES = "type.googleapis.com/envoy.extensions.filters"
_LUA = f"{_TYPES}.http.lua.v3"
_OWN = "function envoy_on_request(handle) handle:headers():replace('x-{}', '1') end"


def _route(number: int, form: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if form == "own script":
        given = {"source_code": {"inline_string": _OWN.format(number)}}
    if form == "program":
        given = {"filter_context": {"id": f"{number}", "program": "x" * 200}}
    per = {"typed_per_filter_config": {"lua": {"@type": f"{_LUA}.LuaPerRoute", **given}}} if given else {}
    return {"match": {"path": f"/{number}"}, "direct_response": {"status": 200}, **per}


def _chain(number: int, lua: dict[str, Any] | None, routes: list[Any]) -> dict[str, Any]:
    filters = [{"name": "lua", "disabled": True, "typed_config": lua}] if lua else []
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [*filters, {"name": "router", "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"}}],
    }
    match = {"server_names": [f"{number}.example.com"]}
    return {"name": f"{number}", "filter_chain_match": match, "filters": [{"name": "http", "typed_config": manager}]}


def _resident(chains: int, lua: dict[str, Any] | None, routes: list[Any]) -> float:
    """MiB, with two workers."""
    admin, port = free_port(), free_port()

    def address(one: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": one}}

    listener = {"name": "l", "address": address(port), "filter_chains": [_chain(n, lua, routes) for n in range(chains)]}
    config = {"admin": {"address": address(admin)}, "static_resources": {"listeners": [listener]}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(json.dumps(config))
        file.flush()
        command = [
            str(envoy_binary(None)),
            "-c",
            file.name,
            "--concurrency",
            "2",
            "-l",
            "error",
            "--disable-hot-restart",
        ]
        with subprocess.Popen(command) as process:
            ready = b""
            while not ready.startswith(b"LIVE"):
                assert process.poll() is None
                with suppress(OSError):
                    ready = urllib.request.urlopen(f"http://127.0.0.1:{admin}/ready", timeout=5).read()
                time.sleep(0.05)
            status = Path(f"/proc/{process.pid}/status").read_text()
            process.terminate()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def _measured() -> None:
    standing = {"@type": f"{_LUA}.Lua", "default_source_code": {"inline_string": runtime.source()}}
    shared = {**standing, "shared_vm_id": "one"}
    one = [_route(0, "")]
    thousand = {form: [_route(number, form) for number in range(1000)] for form in ("", "own script", "program")}
    for name, value in (
        ("64 chains without Lua", _resident(64, None, one)),
        ("64 chains with the runtime", _resident(64, standing, one)),
        ("64 chains that share it", _resident(64, shared, one)),
        ("1,000 routes without Lua", _resident(1, shared, thousand[""])),
        ("1,000 routes with scripts", _resident(1, shared, thousand["own script"])),
        ("1,000 routes with programs", _resident(1, shared, thousand["program"])),
    ):
        print(f"{name:30} {value:7.1f} MiB")  # noqa: T201  its purpose


if __name__ == "__main__":
    _measured()
