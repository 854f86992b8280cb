"""CEL is judged as Envoy judges it, and what is wrong is told with its place."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from engine.models.cel import condition_problem
from streams.sinks.local_envoy import envoy_binary

GOOD = (
    "response.code >= 400",
    "has(request.headers.x)",
    "'a' in request.headers && request.headers['a'] == 'b'",
    "size(request.headers) > 3 ? true : false",
    "request.time > timestamp('2020-01-01T00:00:00Z')",
    "request.path.startsWith('/a') || request.path.matches('^/b.*')",
    "request.path.matches(r'\\d+') || request.path.matches('\\\\d')",
    "re.extract(request.path, '/(.*)', '\\\\1') == 'x'",
    "request.path == '.all(string('",
    "upstream_filter_state.x == 1",
    "request.missing",
    "(" * 31 + "true" + ")" * 31,
)
BAD = {
    "response.code >=": "column 17: Syntax error: mismatched input '<EOF>'",
    "\nrequest.code == 1 &&\n &": "line 3, column 2: Syntax error: token recognition error at: '&'",
    "request.host.lowerAscii() == 'a'": "column 24: undeclared reference to 'lowerAscii'",
    "request.headers.all(h, h == 'x')": "column 17: all is not had by Envoy",
    "[1].map(x, x)[0] == 1": "column 5: map is not had by Envoy",
    "'a' + string(1) == 'a1'": "column 7: string is not had by Envoy",
    "request.path.matches('(')": "column 22: is no regular expression",
    "(" * 33 + "true" + ")" * 33: "is no expression of CEL",
}
OTHERS = {
    "nosuch.x == 1": "column 7: undeclared reference to 'nosuch.x'",
    "1 + 1": "says a int, and must say true or false",
}
"""Envoy takes them, but they never say true."""


@pytest.mark.parametrize("text", GOOD)
def test_what_envoy_takes_is_taken(text: str) -> None:
    assert condition_problem(text) is None


@pytest.mark.parametrize(("text", "said"), [*BAD.items(), *OTHERS.items()])
def test_what_is_wrong_is_told_with_its_place(text: str, said: str) -> None:
    found = condition_problem(text)
    assert found is not None
    assert found.startswith(said), found


def _bootstrap(expression: str) -> dict[str, Any]:
    types = "type.googleapis.com/envoy.extensions"
    config = {"@type": f"{types}.access_loggers.filters.cel.v3.ExpressionFilter", "expression": expression}
    log = {
        "name": "file",
        "filter": {"extension_filter": {"name": "cel", "typed_config": config}},
        "typed_config": {"@type": f"{types}.access_loggers.file.v3.FileAccessLog", "path": "/dev/null"},
    }
    router = {"name": "router", "typed_config": {"@type": f"{types}.filters.http.router.v3.Router"}}
    manager = {
        "@type": f"{types}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "route_config": {"name": "r"},
        "http_filters": [router],
        "access_log": [log],
    }
    listener = {
        "name": "l",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
        "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}


@pytest.mark.envoy
@pytest.mark.parametrize("text", [*GOOD, *BAD])
def test_envoy_says_the_same(text: str, tmp_path: Path) -> None:
    (tmp_path / "envoy.json").write_text(json.dumps(_bootstrap(text)))

    async def validate() -> int | None:
        command = (str(envoy_binary(None)), "--mode", "validate", "-c", str(tmp_path / "envoy.json"), "-l", "critical")
        process = await asyncio.create_subprocess_exec(*command, stdout=-3, stderr=-3)
        return await process.wait()

    assert (asyncio.run(validate()) == 0) == (text in GOOD)
