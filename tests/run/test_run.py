"""`penstock run` as people use it: real broker, real roles, real Envoy, a real backend; and how it ends."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.running import START_SECONDS, Running, free_port, penstock, pid_of, processes, tidy, until

_ROLES = ("resolve", "publish", "deploy", "project", "watch", "envoy -c")


def gateway(port: int, name: str = "gw") -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec: {{gatewayClassName: penstock, listeners: [{{name: http, port: {port}, protocol: HTTP}}]}}
"""


def route(header: str) -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: r}}
spec:
  parentRefs: [{{name: gw}}]
  rules:
  - filters:
    - {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-route, value: "{header}"}}]}}}}
    backendRefs: [{{name: be, port: 80}}]
"""


def backend(port: int) -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: be}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: be, labels: {{kubernetes.io/service-name: be}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"""


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802  the library's word
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def backend_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int) -> tuple[int, str]:
    """Status and x-route of an answer; (0, "") while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()
    return answer.status, answer.getheader("x-route", "")


def test_it_serves_follows_edits_survives_kills_and_ends_cleanly(tmp_path: Path, backend_port: int) -> None:
    data, manifests, port = tmp_path / "data", tmp_path / "manifests", free_port()
    manifests.mkdir()
    (manifests / "gateway.yaml").write_text(gateway(port) + "---" + backend(backend_port))
    (manifests / "route.yaml").write_text(route("one"))
    with tidy(data):
        run = Running(str(manifests), "--data", str(data), "--plain", out=tmp_path / "out")
        until(lambda: ask(port) == (200, "one"), START_SECONDS, run.text)
        (manifests / "route.yaml").write_text(route("two"))
        until(lambda: ask(port) == (200, "two"), says=run.text)
        _a_second_run_is_refused(manifests, data)
        niceness = {role: os.getpriority(os.PRIO_PROCESS, pid_of(data, rf"{role}( |$)")) for role in _ROLES}
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert niceness == {role: own + (5 if role == "project" else 0) for role in _ROLES}
        for number, role in enumerate(("resolve", "publish", "deploy", "project", "watch", "kafka.Kafka", "envoy -c")):
            victim = pid_of(data, rf"{role}( |$)")
            assert victim, f"no {role} runs: {processes(data)}"
            os.kill(victim, signal.SIGKILL)
            (manifests / "route.yaml").write_text(route(f"after-{number}"))
            until(lambda at=number: ask(port) == (200, f"after-{at}"), 60, run.text)  # type: ignore[misc]
        envoy, broker = pid_of(data, "envoy -c"), pid_of(data, r"kafka\.Kafka")
        run.process.kill()
        run.process.wait()
        until(lambda: not pid_of(data, "streams.cli"), says=run.text)
        assert ask(port) == (200, "after-6")
        (manifests / "route.yaml").write_text(route("while-away"))
        run = Running(str(manifests), "--data", str(data), "--plain", out=tmp_path / "out")
        until(lambda: ask(port) == (200, "while-away"), says=run.text)
        assert (pid_of(data, "envoy -c"), pid_of(data, r"kafka\.Kafka")) == (envoy, broker)
        assert run.ends() == 0
        assert processes(data) == {}
        assert "everything has ended" in run.text()


def test_a_gateway_with_the_longest_name_is_served(tmp_path: Path, backend_port: int) -> None:
    data, manifests, port, longest = tmp_path / "data", tmp_path / "manifests", free_port(), "a" * 253
    manifests.mkdir()
    named = route("long").replace("[{name: gw}]", f"[{{name: {longest}}}]")
    (manifests / "all.yaml").write_text("---".join((gateway(port, longest), backend(backend_port), named)))
    with tidy(data):
        run = Running(str(manifests), "--data", str(data), "--plain", out=tmp_path / "out")
        until(lambda: ask(port) == (200, "long"), START_SECONDS, run.text)
        until(lambda: "Programmed=False" not in penstock(data, "status"), says=run.text)
        assert run.ends() == 0
        assert processes(data) == {}


def _a_second_run_is_refused(manifests: Path, data: Path) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "streams.cli", "run", str(manifests), "--data", str(data)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert second.returncode == 3
    assert re.search(r"is in use by process \d+: stop it, or name another --data", second.stderr)


def test_a_relative_directory_is_the_same_from_elsewhere(tmp_path: Path) -> None:
    here, port = tmp_path / "x", free_port()
    (here / "manifests").mkdir(parents=True)
    (here / "manifests" / "gateway.yaml").write_text(gateway(port))
    with tidy(here / "d"):
        # As the default one is relative. The other variable only lets its processes be found.
        environment = {"PENSTOCK_DATA": "./d", "HERE": str(here / "d")}
        run = Running("manifests", "--plain", out=tmp_path / "out", env=environment, cwd=here)
        until(lambda: ask(port)[0] == 404, START_SECONDS, run.text)
        until(lambda: _said(here, "status", "--data", "./d").returncode == 0, says=run.text)
        for words in (("status",), ("get", "gateways"), ("replay", "--digest")):
            near, far = (_said(cwd, *words, "--data", data) for cwd, data in ((here, "./d"), (tmp_path, "x/d")))
            assert (near.returncode, near.stderr) == (0, "")
            assert (far.returncode, far.stdout, far.stderr) == (near.returncode, near.stdout, "")
        assert run.ends() == 0
        assert processes(here / "d") == {}
    assert sorted(one.name for one in here.iterdir()) == ["d", "manifests"]


def _said(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streams.cli", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("words", ["starting Apache Kafka", "Kafka at"])
def test_an_early_ctrl_c_leaves_nothing(tmp_path: Path, words: str) -> None:
    data, manifests = tmp_path / "data", tmp_path / "manifests"
    manifests.mkdir()
    with tidy(data):
        run = Running(str(manifests), "--data", str(data), out=tmp_path / "out")
        until(lambda: words in run.text(), START_SECONDS, run.text)
        assert run.ends() == 0
        assert processes(data) == {}


def test_a_broker_that_is_down_is_waited_for(tmp_path: Path) -> None:
    manifests, port = tmp_path / "manifests", free_port()
    manifests.mkdir()
    run = Running(
        str(manifests), "--data", str(tmp_path / "data"), "--brokers", f"127.0.0.1:{port}", out=tmp_path / "out"
    )
    with tidy(tmp_path / "data"):
        until(lambda: "waiting for it: start it, or name another one with --brokers" in run.text(), says=run.text)
        assert run.process.poll() is None
        assert run.ends(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    [
        (["{tmp}/none"], {}, 3, "none is not a directory: name the directory that holds your manifests"),
        (["{tmp}", "{tmp}"], {}, 2, "write east=DIR1 west=DIR2"),
        (["East_1={tmp}"], {}, 2, "'East_1' is no name for a cluster"),
        (["{tmp}", "--envoy", "{tmp}/none"], {}, 3, "there is no Envoy at .*name one with --envoy"),
        (["{tmp}"], {"PENSTOCK_PARTITION": "x"}, 2, "PENSTOCK_PARTITION: "),
        (["{tmp}"], {"PENSTOCK_SEALING_KEY": "/dev/null"}, 3, "is no sealing key"),
        ([], {}, 2, "Missing argument"),
    ],
)
def test_what_cannot_run_says_why_in_a_line(
    tmp_path: Path, arguments: list[str], env: dict[str, str], code: int, words: str
) -> None:
    given = [one.replace("{tmp}", str(tmp_path)) for one in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "run", *given, "--data", str(tmp_path / "data")],
        capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **env},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert re.search(words, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_a_busy_port_shows_costs_only_its_listener_and_is_taken_once_free(tmp_path: Path, backend_port: int) -> None:
    data, manifests, port, other = tmp_path / "data", tmp_path / "manifests", free_port(), free_port()
    manifests.mkdir()
    busy = f"listeners: [{{name: busy, port: {other}, protocol: HTTP}}, "
    (manifests / "gateway.yaml").write_text(gateway(port).replace("listeners: [", busy) + "---" + backend(backend_port))
    (manifests / "route.yaml").write_text(route("one"))
    with tidy(data):
        with socket.socket() as occupant:
            occupant.bind(("127.0.0.1", other))
            occupant.listen()
            run = Running(str(manifests), "--data", str(data), "--plain", out=tmp_path / "out")
            until(lambda: ask(port) == (200, "one"), START_SECONDS, run.text)
            until(lambda: "end what holds the address, or give the listener another port" in run.text(), says=run.text)
            assert "Address already in use" in penstock(data, "status")
            assert "Programmed=False" in penstock(data, "status")
        until(lambda: ask(other) == (200, "one"), 60, run.text)
        until(lambda: "Address already in use" not in penstock(data, "status"), says=lambda: penstock(data, "status"))
        assert run.ends() == 0
        assert processes(data) == {}
