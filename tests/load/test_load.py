"""Nothing is answered wrongly while routes come, change and go under load: real Kafka, real Envoy with two workers.

LOAD_CHANGES sets how many changes each case makes.
"""

from __future__ import annotations

import http.client
import os
import re
import time
from pathlib import Path

import pytest

from tests.load.lanes import EndpointLane, Lane, RouteLane, SocketLane, World
from tests.support.load import Traffic, traffic
from tests.support.running import START_SECONDS, Running, free_port, tidy, until
from tests.support.traffic import Answer, Plan
from tests.support.verdict import Verdict, judge
from tests.support.written import gateway, put, route, service

_CHANGES = int(os.environ.get("LOAD_CHANGES", "100"))
_PACE_SECONDS = 0.2
_WORKERS = 2
_BACKENDS = 4


@pytest.mark.timeout(300 + 3 * _CHANGES)
@pytest.mark.parametrize("present", [10, 1_000])
def test_no_answer_is_wrong_while_routes_change(tmp_path: Path, present: int) -> None:
    data, manifests, port = tmp_path / "data", tmp_path / "manifests", free_port()
    manifests.mkdir()
    ports = {f"be-{number}": free_port() for number in range(_BACKENDS)} | {"socket": free_port()}
    _write_base(manifests, port, ports, present)
    plan = Plan(port, str(tmp_path / "seen"), ports)
    environment = {"PENSTOCK_ENVOY_CONCURRENCY": str(_WORKERS)}
    with tidy(data), traffic(plan) as load:
        run = Running(str(manifests), "--data", str(data), "--plain", out=tmp_path / "out", env=environment)
        until(lambda: _connectable(port), START_SECONDS, run.text)
        world = World(manifests, ports, load)
        _ask_for_what_stays(world, present)
        _cover_workers(load, data)
        began = time.monotonic()
        late = _change(world)
        seconds = time.monotonic() - began
        seen = load.end()
        assert run.ends() == 0, run.text()
    verdict = judge(seen, world.histories)
    print(f"\n{present} routes, {world.changes} changes in {seconds:.1f} s ({late} late), {_said(verdict)}")  # noqa: T201  the numbers, for who asks with -s
    assert verdict.wrong == [], f"{len(verdict.wrong)} wrong: {verdict.wrong[:20]}"
    _enough_was_seen(verdict, world, seconds)


def _write_base(manifests: Path, port: int, ports: dict[str, int], present: int) -> None:
    services = [service(name, at) for name, at in ports.items() if name != "socket"]
    put(manifests, "gateway.yaml", [gateway(port), *services, service("socket", ports["socket"], "kubernetes.io/ws")])
    places = [_stays(number) for number in range(present)]
    routes = [
        route(f"stays-{at}", (host, path), answer.backend, answer.version)
        for at, (host, path, answer) in enumerate(places)
    ]
    put(manifests, "stays.yaml", [*routes, route("socket", ("socket.example", "/"), "socket", "socket")])


def _stays(number: int) -> tuple[str, str, Answer]:
    """Where a route that is never changed is, and what it answers: every second has a host of its own."""
    host, path = (f"stays-{number}.example", "/") if number % 2 else ("shared.example", f"/stays-{number}")
    return host, path, Answer(200, f"be-{number % _BACKENDS}", f"stays-{number}")


def _connectable(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/", headers={"host": "stays-1.example"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ask_for_what_stays(world: World, present: int) -> None:
    steady = {}
    for number in range(present):
        host, path, answer = _stays(number)
        steady[f"stays-{number}"] = (host, path)
        world.wants(f"stays-{number}", answer)
    world.wants("open-socket", Answer(101, "socket", "socket"))
    world.traffic.tell(steady=steady, connect=world.traffic.plan.connections, sockets={"open-socket": "socket.example"})


def _cover_workers(load: Traffic, data: Path) -> None:
    """Connect until every worker of Envoy has some of the kept connections."""
    (admin,) = data.glob("proxies/*/admin")

    asked = load.plan.connections

    def covered() -> bool:
        nonlocal asked
        found = _get(admin.read_text().strip(), "/stats?filter=worker_.*downstream_cx_active")
        active = [int(one) for one in re.findall(r"127\.0\.0\.1_\d+\.worker_\d+\.downstream_cx_active: (\d+)", found)]
        # New connections come and go, and may be one of those counted.
        if sum(active) >= asked and min(active) < 2:
            load.tell(connect=1)
            asked += 1
        return len(active) == _WORKERS and sum(active) >= asked and min(active) >= 2

    until(covered)


def _get(address: str, path: str) -> str:
    host, _, port = address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _change(world: World) -> int:
    """Make a change every 200 ms, in the lane that waited longest; answers how often none was ready in time."""
    shapes = [(True, True), (False, True), (True, False), (False, False), (True, True), (False, False)]
    lanes: list[Lane] = [
        RouteLane(world=world, number=at, own_host=host, own_services=services)
        for at, (host, services) in enumerate(shapes)
    ]
    sockets = SocketLane(world=world)
    lanes += [EndpointLane(world=world), sockets]
    for lane in lanes:
        lane.begin()
    until(lambda: all(lane.ready() for lane in lanes), says=lambda: _stuck(lanes))
    sockets.advance()
    until(sockets.ready)
    world.wants("held-socket", Answer(101, "socket", "edited-1"))
    world.traffic.tell(sockets={"held-socket": sockets.place[0]})
    late, due = 0, time.monotonic()
    while world.changes < _CHANGES:
        due += _PACE_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
        if _next(lanes) is None:
            late += 1
            until(lambda: _next(lanes) is not None, says=lambda: _stuck(lanes))
            due = time.monotonic()
        lane = _next(lanes)
        assert lane is not None
        lane.advance()
        lanes.append(lanes.pop(lanes.index(lane)))
    until(lambda: all(lane.ready() for lane in lanes), says=lambda: _stuck(lanes))
    return late


def _next(lanes: list[Lane]) -> Lane | None:
    """The lane that waited longest and may go on; those at the end of a life begin another one."""
    for lane in lanes:
        if lane.ready():
            lane.renew()
    return next((lane for lane in lanes if lane.ready()), None)


def _stuck(lanes: list[Lane]) -> str:
    return ", ".join(
        f"{one.target} answers {one.world.traffic.agreed.get(one.target)}" for one in lanes if not one.ready()
    )


def _said(verdict: Verdict) -> str:
    return f"requests {dict(verdict.requests)}, {verdict.states()} states seen"


def _enough_was_seen(verdict: Verdict, world: World, seconds: float) -> None:
    """What was not looked at cannot be called right."""
    assert world.changes >= _CHANGES
    assert verdict.requests["kept"] > 10 * _CHANGES
    assert verdict.requests["new"] > _CHANGES
    changed = {
        name: history for name, history in world.histories.items() if name.startswith(("lane", "moving", "edited"))
    }
    unseen = {name: one.states for name, one in changed.items() if len(verdict.witnessed[name]) < len(one.states)}
    assert not unseen, f"states that nobody saw: {unseen}"
    sockets = [verdict.witnessed[name] for name in ("open-socket", "held-socket")]
    assert sockets == [{0}, {0}]
