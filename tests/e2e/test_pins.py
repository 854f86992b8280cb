"""The past served to traffic: with the directory gone, from one gateway or by rollback, over restarts, until it ends."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.clock import seconds_of
from tests.e2e.site import BACKEND, GATEWAY, Site, answering, offsets, route
from tests.support.running import free_port, tidy, until

_OTHER = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: o}}
spec:
  parentRefs: [{{name: other}}]
  rules:
  - filters:
    - {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-route, value: "{header}"}}]}}}}
    backendRefs: [{{name: be, port: 80}}]
"""


class _Two(Site):
    """Two gateways, which serve the same word."""

    def say(self, header: str) -> None:
        self.write("route.yaml", route(header))
        self.write("other.yaml", GATEWAY.format(name="other", port=self.second) + "---" + _OTHER.format(header=header))

    @property
    def second(self) -> int:
        path = self.root / "second"
        if not path.exists():
            path.write_text(str(free_port()))
        return int(path.read_text())

    def both(self, first: str, second: str, seconds: float = 30.0) -> None:
        until(lambda: self.ask() == (200, first), seconds, lambda: f"{self.ask()}\n{self.printed}")
        until(lambda: self.ask(port=self.second) == (200, second), seconds, lambda: self.printed)

    def timed(self, first: str, *words: str) -> tuple[float, float]:
        """Seconds from the command's start, and from its append, until traffic sees it."""
        seen: list[float] = []
        began = time.time()

        def look() -> None:
            until(lambda: self.ask() == (200, first), 60)
            seen.append(time.time())

        thread = threading.Thread(target=look)
        thread.start()
        done = self.call(*words)
        thread.join()
        assert done.returncode == 0, done.stdout + done.stderr
        return seen[0] - began, seen[0] - seconds_of(self.tells("pins")[-1]["time"])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[_Two]:
    with answering() as port, tidy(tmp_path):
        one = _Two(tmp_path, port)
        one.populate("one")
        one.say("one")
        yield one


def test_the_past_is_served_to_traffic_with_the_directory_gone(
    site: _Two, capsys: pytest.CaptureFixture[str]
) -> None:
    site.start()
    site.both("one", "one", 60)
    then = offsets(site)[0]
    site.say("two")
    site.both("two", "two")
    away = site.root / "away"
    site.manifests.rename(away)
    times = {"pin": site.timed("one", "pin", "gateway/gw", "--at", str(then), "--reason", "two is slow", "--yes")}
    site.both("one", "two")
    assert "penstock.dev/Pinned" in str(site.tells("get", "gateways", "gw"))
    assert "pinned      gateway/default/gw as of offset" in site.call("status").stdout
    assert site.call("unpin", "gateway/gw").returncode == 0
    site.both("two", "two")
    words = ("rollback", "--to", str(then), "--ref", "httproute/r", "--reason", "two is slow", "--yes")
    times["rollback"] = site.timed("one", *words, "--until-confirmed", "4s")
    site.both("one", "two")
    site.both("two", "two", 15)
    assert site.tells("pins") == []
    site.timed("one", *words, "--until-confirmed", "30s")
    assert site.call("confirm", site.tells("pins")[0]["pin"]).returncode == 0
    (pin,) = site.tells("pins")
    assert (pin["until"], pin["on_trial"]) == ("", False)
    assert site.call("unpin", "--all").returncode == 0
    site.both("two", "two")
    with capsys.disabled():
        for name, (command, append) in times.items():
            sys.stdout.write(f"\n{name}: traffic after {append:.2f} s, {command:.2f} s with the start of the command\n")
    away.rename(site.manifests)
    _over_a_restart(site, then)
    site.ends()


def _over_a_restart(site: _Two, then: int) -> None:
    """Today's endpoints, which move meanwhile, and the routes of then: after everything was started anew, too."""
    site.timed("one", "pin", "gateway/gw", "--at", str(then), "--reason", "two is slow", "--yes")
    with answering() as port:
        site.write("gateway.yaml", GATEWAY.format(name="gw", port=site.port) + "---" + BACKEND.format(port=port))
        site.say("three")
        site.both("one", "three")
        until(lambda: str(port) in site.call("dump", "gw").stdout, 30)
        site.ends()
        site.start()
        until(lambda: site.call("status").returncode in {0, 1}, 60)
        site.both("one", "three", 60)
        assert [one["ref"].split("/")[-1] for one in site.tells("pins")[0]["drift"]] == ["o", "r"]
        assert site.call("unpin", "gateway/gw").returncode == 0
        site.both("three", "three")
