"""Whom a verdict does not concern: another Gateway, the Envoy that comes next, and those beside an odd proxy."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.events import Lift, Quarantine
from engine.ref import Ref
from streams.codec import decode_change_set
from streams.identity import proxy_token
from streams.main import ads_socket
from streams.settings import Settings
from streams.topics import Topic
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from tests.e2e.site import GATEWAY, Site, route
from tests.e2e.trouble import log_of
from tests.support.envoys import LARGE, NEWER, OLDER, Envoys, beside
from tests.support.odd_proxy import odd_proxy
from tests.support.running import free_port, processes, until

pytestmark = [pytest.mark.kafka, pytest.mark.envoy, pytest.mark.timeout(900)]
_GATEWAY = str(Ref("local", "gateway.networking.k8s.io", "Gateway", "default", "gw"))
_FLOOD = 2_000
Held = dict[tuple[str, str], tuple[object, object]]


def _x(said: str, pattern: str = "/y", parents: str = "{name: gw}") -> str:
    """A route that takes /x, whatever else it takes, and answers with x-route."""
    one = route(said, f'"/x|{pattern}"', "x").replace("PathPrefix", "RegularExpression")
    return one.replace("{name: gw}", parents)


def _held(site: Site) -> Held:
    """By Gateway and object the generations that run and that were rejected."""
    rows = site.tells("quarantine", "list")
    return {
        (row["gateway"].rpartition("/")[2], one["ref"].rpartition("/")[2]): (one["runs"], one["rejected"])
        for row in rows
        for one in row["objects"]
        if one["held"]
    }


def _is_held(site: Site, held: Held) -> None:
    until(lambda: _held(site) == held, 300, lambda: f"{_held(site)}\n{site.printed}")


def _verdicts(site: Site) -> list[Quarantine | Lift]:
    """All that the publisher ever told the log."""

    async def read() -> list[Quarantine | Lift]:
        records = [one async for some in log_of(site).read(Topic.CHANGES, 0) for one in some]
        told = [change for one in records for change in decode_change_set(one).changes]
        return [one for one in told if isinstance(one, Quarantine | Lift)]

    return asyncio.run(read())


def _answers(site: Site, said: str, port: int | None = None) -> None:
    until(lambda: site.ask("/x", port) == (200, said), 300, lambda: f"{said}: {site.ask('/x', port)}\n{site.printed}")


def _fallbacks(site: Site, name: str) -> dict[str, str]:
    """By Gateway what an object's status says of a last good revision."""
    (row,) = site.tells("status", name)["objects"]
    said = [one for one in row["conditions"] if "last good revision" in one["message"]]
    return {one["parent"]: one["message"] for one in said}


def _proxies(site: Site) -> dict[str, str]:
    """The Envoy of each proxy that is connected."""
    rows = [one for row in site.tells("convergence") for one in row["proxies"]]
    return {one["proxy"].rpartition("~")[2]: one["envoy"] for one in rows if one["connected"]}


def _unconfirmed(site: Site) -> dict[str, bool]:
    """Of each proxy whether it rejects what an isolated Envoy takes."""
    return {one["proxy"].rpartition("~")[2]: one["unconfirmed"] for one in site.tells("status")["proxies"]}


# -- another Gateway ------------------------------------------------------------------------------------------------


def test_what_one_gateway_rejects_is_served_at_another(site: Site) -> None:
    """Where the proxies are of an Envoy that takes it. The status of the route tells both."""
    envoys, other, both = Envoys(site.root), free_port(), "{name: gw}, {name: other}"
    envoys.run(newer_for="default.gw.")
    site.populate()
    site.write("other.yaml", GATEWAY.format(name="other", port=other))
    site.write("route.yaml", _x("one", parents=both))
    site.start("--envoy", str(envoys.path))
    _answers(site, "one")
    _answers(site, "one", other)
    site.write("route.yaml", _x("two", LARGE, both))
    _is_held(site, {("other", "x"): (1, 2)})
    _answers(site, "two")
    assert site.ask("/x", other) == (200, "one")
    told = _fallbacks(site, "HTTPRoute/x")
    assert told.keys() == {"other"}
    assert "Gateway default/other serves the last good revision (generation 1)" in told["other"]
    assert "program size" in told["other"]
    site.write("route.yaml", _x("three", parents=both))
    _answers(site, "three")
    _answers(site, "three", other)
    _is_held(site, {})
    assert not _fallbacks(site, "HTTPRoute/x")
    assert [(type(one), one.gateway.name) for one in _verdicts(site)] == [(Quarantine, "other")]
    site.ends()


# -- an upgrade -----------------------------------------------------------------------------------------------------


def test_an_upgrade_lifts_what_the_older_envoy_rejected_once_the_last_of_it_is_gone(site: Site) -> None:
    """And not before; nor does it matter that all else is killed and started again."""
    envoys = Envoys(site.root)
    site.populate()
    site.write("route.yaml", _x("one"))
    _start(site, envoys, "one")
    site.write("route.yaml", _x("two", LARGE))
    held: Held = {("gw", "x"): (1, 2)}
    _is_held(site, held)
    with beside(site.data, _GATEWAY, envoys.older) as last:
        until(lambda: last.runs("one"), 120, lambda: site.printed)
        (told,) = _verdicts(site)
        assert isinstance(told, Quarantine)
        assert told.envoy == OLDER
        for pid in processes(site.data):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not processes(site.data), 60)
        _start(site, envoys, "one")
        _goes_on(site, "while all are old")
        assert _held(site) == held
        site.ends()

        envoys.run(NEWER)
        _start(site, envoys, "one")
        _goes_on(site, "while one is old")
        until(lambda: last.runs("while one is old"), 120)
        until(lambda: _proxies(site) == {"0": NEWER, last.name: OLDER}, 120, lambda: f"{_proxies(site)}\n{site.printed}")
        assert _held(site) == held
        assert site.ask("/x") == (200, "one")
        assert _verdicts(site) == [told]
    _answers(site, "two")
    _is_held(site, {})
    assert _verdicts(site) == [told, Lift(told.gateway, told.fragment, OLDER)]
    site.ends()


def _start(site: Site, envoys: Envoys, said: str) -> None:
    site.start("--envoy", str(envoys.path))
    _answers(site, said)


def _goes_on(site: Site, said: str) -> None:
    """A change of something else is served."""
    site.write("later.yaml", route(said, "/later", "later"))
    site.serves(said, "/later")


# -- an odd proxy ---------------------------------------------------------------------------------------------------


def test_a_proxy_that_rejects_everything_for_ever_harms_nobody_else(site: Site) -> None:
    """It connects anew each time. The others get each change meanwhile, and what is bad for them is judged."""
    envoys = Envoys(site.root)
    site.populate()
    site.write("route.yaml", _x("one"))
    _start(site, envoys, "one")
    with beside(site.data, _GATEWAY, envoys.older) as second, _rejecting(site) as flood:
        until(lambda: second.runs("one"), 120, lambda: site.printed)
        for said in ("two", "three"):
            site.write("route.yaml", _x(said))
            _answers(site, said)
            until(lambda said=said: second.runs(said), 120, lambda: site.printed)  # type: ignore[misc]
            flood.goes_on()
        until(lambda: flood.rejections > _FLOOD, 300, lambda: site.printed)
        assert not _verdicts(site)
        site.write("route.yaml", _x("four", LARGE))
        _is_held(site, {("gw", "x"): (3, 4)})
        flood.goes_on()
        assert site.ask("/x") == (200, "three")
        site.write("route.yaml", _x("five"))
        _answers(site, "five")
        until(lambda: second.runs("five"), 120, lambda: site.printed)
        flood.goes_on()
        odd = {"0": False, second.name: False, "odd": True}
        until(lambda: _unconfirmed(site) == odd, 60, lambda: f"{_unconfirmed(site)}\n{site.printed}")
    (verdict,) = _verdicts(site)
    assert isinstance(verdict, Quarantine)
    assert "program size" in verdict.error
    # Of so many rejections a few are new: the log has a line for each, and an isolated Envoy runs for each.
    told = [line for line in site.printed.splitlines() if "~odd" in line]
    assert 20 * len(told) < flood.rejections, site.printed
    assert 20 * len(envoys.started.read_text().splitlines()) < flood.rejections
    site.ends()


@dataclass
class _Flood:
    """`rejections` is how often it was sent something and rejected that."""

    over: threading.Event = field(default_factory=threading.Event)
    rejections: int = 0

    def goes_on(self) -> None:
        """It was there all the while."""
        before = self.rejections
        until(lambda: self.rejections > before, 120)


@contextmanager
def _rejecting(site: Site) -> Iterator[_Flood]:
    """A proxy that connects, rejects one of each kind, and connects again: as often as it can, on eight connections."""
    flood = _Flood()
    settings = Settings(data=site.data)
    token = proxy_token((site.data / "keys" / "sealing.key").read_bytes(), _GATEWAY)
    wanted = ((CLUSTER, ""), (LISTENER, ""), (ROUTES, f"listener~{site.port}"), (ENDPOINTS, "kube_default_be_80"))

    async def again_and_again(socket: Path) -> None:
        while not flood.over.is_set():
            async with odd_proxy(socket, _GATEWAY, version=OLDER, token=token) as one:
                for kind, name in wanted:
                    await one.ask(kind, name)
                    await one.answer("I take nothing")
                    flood.rejections += 1

    async def loop() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(again_and_again(ads_socket(settings)))

    thread = threading.Thread(target=lambda: asyncio.run(loop()))
    thread.start()
    try:
        yield flood
    finally:
        flood.over.set()
        thread.join()
