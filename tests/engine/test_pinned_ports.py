"""Ports of one shared address and pinned Gateways: each is served by one Gateway, whatever moments these are of."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Override, Pin, Put, Unpin
from engine.ref import Ref
from tests.engine.test_pins import World
from tests.support.manifests import delete, gateway, put, route

OLD = route("r")


def _at(name: str, port: int, generation: int = 2) -> Put:
    return gateway(name, {"name": "http", "port": port, "protocol": "HTTP"}, generation=generation)


def _pin(world: World, of: Put, name: str = "p") -> None:
    world.control(Pin(name, of.ref, 1, "it broke", "", on_trial=False), Override(name, of.ref, of.object))


def _ports(world: World) -> dict[str, list[str]]:
    """The ports that are served, by gateway; each by one alone."""
    found = sorted(world.engine.everything().fragments.set)
    served = [key.split("/")[4::2] for key in found if key.split("/")[5] == "listener"]
    ports = [one.split("~")[1] for _, one in served]
    assert len(ports) == len(set(ports)), served
    return {name: [one.split("~")[1] for of, one in served if of == name] for name, _ in served}


def _accepted(world: World, ref: Ref) -> dict[str, Any]:
    listener = world.engine.everything().statuses.set[str(ref)]["status"]["listeners"][0]
    return next(one for one in listener["conditions"] if one["type"] == "Accepted")


def _moved() -> World:
    """The port of one Gateway went to a younger one."""
    world = World(OLD)
    world.tell(_at("gw", 8090))
    world.tell(_at("other", 8080))
    assert _ports(world) == {"gw": ["8090"], "other": ["8080"]}
    return world


def test_a_port_that_another_gateway_has_now_is_not_a_pinned_ones() -> None:
    world = _moved()
    _pin(world, gateway("gw"))
    assert _ports(world) == {"other": ["8080"]}
    told = _accepted(world, gateway("gw").ref)
    assert told["reason"] == "PortUnavailable"
    assert told["message"] == (
        "port 8080 belongs to Gateway default/other now, and all Gateways share one address: "
        "have that one use another port, or end the pin"
    )
    assert _accepted(world, gateway("other").ref)["status"] == "True"
    world.tell(_at("other", 8081, 3))
    assert _ports(world) == {"gw": ["8080"], "other": ["8081"]}
    world.tell(_at("other", 8080, 4))
    assert _ports(world) == {"other": ["8080"]}, "it may come later, too"
    world.tell(delete(gateway("other")))
    assert _ports(world) == {"gw": ["8080"]}
    world.control(Unpin("p"))
    assert _ports(world) == {"gw": ["8090"]}


def test_a_port_that_it_has_now_too_is_a_pinned_ones() -> None:
    """The younger one does not have it now: if it were to, nobody would."""
    world = World(OLD)
    world.tell(_at("other", 8080))
    _pin(world, gateway("gw"))
    assert _ports(world) == {"gw": ["8080"]}
    assert _accepted(world, gateway("other").ref)["reason"] == "PortUnavailable"
    world.tell(_at("gw", 8090))
    assert _ports(world) == {"other": ["8080"]}


def test_a_port_of_a_listener_set_counts() -> None:
    world = World(OLD)
    world.tell(_at("gw", 8090))
    allowed = {"namespaces": {"from": "All"}}
    spec = {
        "parentRef": {"name": "other"},
        "listeners": [{"name": "more", "port": 8080, "protocol": "HTTP"}],
    }
    opened = _at("other", 8081)
    opened.object["spec"]["allowedListeners"] = allowed
    world.tell(opened, put("gateway.networking.k8s.io", "v1", "ListenerSet", "set", {"spec": spec}))
    assert _ports(world) == {"gw": ["8090"], "other": ["8080", "8081"]}
    _pin(world, gateway("gw"))
    assert _ports(world) == {"other": ["8080", "8081"]}


@pytest.mark.parametrize("first", ["gw", "other"])
def test_of_two_pinned_ones_of_two_moments_the_older_has_it(first: str) -> None:
    world = _moved()
    world.tell(_at("other", 8081, 3))
    for name in (first, "other" if first == "gw" else "gw"):
        _pin(world, gateway("gw") if name == "gw" else _at("other", 8080), name)
    assert _ports(world) == {"gw": ["8080"]}
    assert _accepted(world, gateway("other").ref)["reason"] == "PortUnavailable"
    world.control(Unpin("gw"))
    assert _ports(world) == {"gw": ["8090"], "other": ["8080"]}


def test_a_change_that_moves_no_port_costs_a_pinned_gateway_nothing() -> None:
    world = _moved()
    _pin(world, gateway("gw"))
    readings = world.engine._readings  # noqa: SLF001  each has a graph of its own
    graphs = [readings.main.graph, *(reading.graph for _, reading in readings._pinned.values())]  # noqa: SLF001
    before = [graph.work.reruns for graph in graphs]
    world.tell(put("", "v1", "ConfigMap", "c", {"data": {}}))
    assert [graph.work.reruns for graph in graphs] == before
