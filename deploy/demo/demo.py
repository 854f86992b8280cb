"""The main job, shown: manifests to a serving Envoy through Kafka, with a crash in the middle; it ends by itself.

It starts everything that it talks to, on free ports of 127.0.0.1, and leaves nothing behind.
"""

from __future__ import annotations

import collections
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_COMMAND = [sys.executable, "-m", "streams.cli"]
_DEADLINE = 60.0


class DemoFailed(Exception):  # noqa: N818
    """Something was not as it must be."""


def say(text: str) -> None:
    """A line of the story."""
    print(f"\n== {text}", flush=True)


def expect(truth: bool, text: str) -> None:
    """Fail the demo unless it is true."""
    if not truth:
        raise DemoFailed(text)
    print(f"   {text}", flush=True)


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def backend(name: str) -> int:
    """Start an HTTP backend that answers with its name; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = name.encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def ask(port: int, path: str) -> tuple[int, str]:
    """One request; (0, "") when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except OSError:
        return 0, ""
    finally:
        connection.close()


def wait(what: str, until: Callable[[], bool]) -> float:
    """Poll until it holds; the milliseconds it took."""
    began = time.monotonic()
    while not until():
        if time.monotonic() - began > _DEADLINE:
            msg = f"{what} did not happen within {_DEADLINE:.0f} s"
            raise DemoFailed(msg)
        time.sleep(0.002)
    return (time.monotonic() - began) * 1000


def service(name: str, port: int) -> str:
    """A Service with its one endpoint."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"""


def gateway(port: int) -> str:
    """A Gateway with one HTTP listener."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: demo}}
spec:
  gatewayClassName: penstock
  listeners: [{{name: http, port: {port}, protocol: HTTP}}]
"""


def route(name: str, path: str, backends: str, kind: str = "PathPrefix") -> str:
    """An HTTPRoute for a path."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: demo}}]
  rules:
  - matches: [{{path: {{type: {kind}, value: '{path}'}}}}]
    backendRefs: [{backends}]
"""


class Demo:
    """The world of the demo: a directory of manifests, a data directory, and the control plane."""

    def __init__(self, root: Path) -> None:
        self.manifests = root / "manifests"
        self.manifests.mkdir()
        self.environment = {**os.environ, "PENSTOCK_DATA": str(root / "data")}
        self.log = root / "run.log"
        self.plane: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def write(self, name: str, text: str) -> None:
        """Put a manifest in place, whole."""
        temporary = self.manifests / f".{name}"
        temporary.write_text(text)
        temporary.replace(self.manifests / name)

    def start(self) -> None:
        """Start the control plane."""
        with self.log.open("ab") as log:
            self.plane = subprocess.Popen(
                [*_COMMAND, "run", str(self.manifests), "--plain"],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, number: int) -> None:
        """End the control plane with a signal and wait for it."""
        if self.plane is not None:
            self.plane.send_signal(number)
            self.plane.wait(30)

    def command(self, *arguments: str) -> str:
        """What a command of penstock prints."""
        done = subprocess.run(
            [*_COMMAND, *arguments], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode not in {0, 1}:
            msg = f"penstock {' '.join(arguments)}: {done.stderr.strip()}"
            raise DemoFailed(msg)
        return done.stdout.strip()

    def serves(self, path: str, status: int, body: str | None = None) -> Callable[[], bool]:
        """A question, whether this path answers so."""
        return lambda: (answer := ask(self.port, path))[0] == status and body in (None, answer[1])


def serve(demo: Demo) -> None:
    """From manifests to answers."""
    say("Two backends, a Gateway and a route, as manifests in a directory")
    demo.write("backends.yaml", "---".join(service(name, backend(name)) for name in ("blue", "green")))
    demo.write("gateway.yaml", gateway(demo.port))
    demo.write("shop.yaml", route("shop", "/shop", "{name: blue, port: 80}"))
    say("penstock run: Kafka, resolver, publisher, and an Envoy for the Gateway (a few seconds)")
    demo.start()
    took = wait("the first answer", demo.serves("/shop", 200, "blue"))
    expect(
        demo.serves("/shop/cart", 200, "blue")(),
        f"GET /shop/cart -> 200 from blue, {took / 1000:.1f} s after the start",
    )
    expect(demo.serves("/nothing", 404)(), "GET /nothing -> 404")


def change(demo: Demo) -> None:
    """A route added, traffic split, a route broken."""
    say("A route is added")
    demo.write("pay.yaml", route("pay", "/pay", "{name: green, port: 80}"))
    took = wait("the new route", demo.serves("/pay", 200, "green"))
    expect(True, f"GET /pay -> 200 from green, {took:.0f} ms after the file was written")
    say("Traffic is split 80/20")
    demo.write(
        "shop.yaml", route("shop", "/shop", "{name: blue, port: 80, weight: 80}, {name: green, port: 80, weight: 20}")
    )
    wait("the split", lambda: any(ask(demo.port, "/shop")[1] == "green" for _ in range(30)))
    counts = collections.Counter(ask(demo.port, "/shop")[1] for _ in range(500))
    expect(set(counts) == {"blue", "green"} and 50 <= counts["green"] <= 150, f"500 requests: {dict(counts)}")
    say("A route is broken on purpose: its backend does not exist")
    demo.write("pay.yaml", route("pay", "/pay", "{name: nobody, port: 80}"))
    wait("the broken route", demo.serves("/pay", 500))
    expect(demo.serves("/shop", 200)(), "GET /pay -> 500, GET /shop -> 200: only it is affected")
    print(demo.command("status"))
    say("A manifest that Envoy would choke on is refused at the door; what it said before stays")
    demo.write("pay.yaml", route("pay", r"/\p{Letter}+", "{name: green, port: 80}", "RegularExpression"))
    wait("the refusal", lambda: "refused" in demo.command("status"))
    print(demo.command("status"))
    expect(demo.serves("/pay", 500)() and demo.serves("/shop", 200)(), "nothing that was served changed")


def crash(demo: Demo) -> None:
    """The control plane is killed and comes back."""
    say("The control plane is killed with -9")
    before = envoys(demo)
    demo.stop(signal.SIGKILL)
    answers = collections.Counter(ask(demo.port, "/shop")[0] for _ in range(200))
    expect(answers == {200: 200}, f"200 requests without a control plane: {dict(answers)}")
    say("It is started again")
    demo.start()
    wait("the control plane", lambda: "connected" in demo.command("status"))
    expect(envoys(demo) == before, f"the Envoy is the same process: {before}")
    expect(demo.serves("/shop", 200)() and demo.serves("/pay", 500)(), "every answer is as before")


def envoys(demo: Demo) -> list[int]:
    """The pids of the proxies."""
    files = sorted(Path(demo.environment["PENSTOCK_DATA"]).glob("proxies/*/process.json"))
    return [int(json.loads(file.read_text())["pid"]) for file in files]


def history(demo: Demo) -> None:
    """The log, and a replay of it."""
    say("The log: every change, who made it, what it changed downstream")
    print(demo.command("log"))
    say("The log folded again from its beginning gives what is live")
    live, replayed = demo.command("replay", "--live", "--digest"), demo.command("replay", "--digest")
    expect(live == replayed, f"live {live} == replayed {replayed}")


def main() -> int:
    """Run the story; 0 when all of it held."""
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as directory:
        demo = Demo(Path(directory))
        try:
            serve(demo)
            change(demo)
            crash(demo)
            history(demo)
        except DemoFailed as error:
            print(f"\nFAILED: {error}\n--- the control plane said:")
            print("\n".join(demo.log.read_text(errors="replace").splitlines()[-40:]) if demo.log.exists() else "")
            return 1
        finally:
            demo.stop(signal.SIGTERM)
    say("Done: everything has ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
