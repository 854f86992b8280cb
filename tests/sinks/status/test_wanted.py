"""Programmed after acknowledgement, and an acknowledgement that concerns those that wait for it only."""

from __future__ import annotations

from typing import Any

from engine.ref import Ref
from streams.sinks.status.wanted import Wanted

GATEWAY = Ref("east", "gateway.networking.k8s.io", "Gateway", "default", "gw")
OTHER = GATEWAY._replace(name="other")


def status(offset: int, gateway: Ref = GATEWAY) -> dict[str, Any]:
    condition = {"type": "Programmed", "status": "True", "reason": "Programmed", "message": "", "observedGeneration": 1}
    return {"generation": 1, "status": {"conditions": [condition]}, "programmed": {str(gateway): offset}}


def shown(wanted: Wanted, ref: Ref) -> str:
    found = wanted[ref]
    assert found is not None
    return str(found["conditions"][0]["status"])


def test_programmed_once_it_is_acknowledged() -> None:
    wanted = Wanted("east")
    assert wanted.put(GATEWAY, status(7))
    assert shown(wanted, GATEWAY) == "False"
    assert wanted.acknowledge(str(GATEWAY), 6) == [GATEWAY]  # The words change: a proxy is there.
    assert shown(wanted, GATEWAY) == "False"
    assert wanted.acknowledge(str(GATEWAY), 7) == [GATEWAY]
    assert shown(wanted, GATEWAY) == "True"
    assert wanted.acknowledge(str(GATEWAY), 8) == []


def test_an_acknowledgement_concerns_who_waits_for_it() -> None:
    wanted = Wanted("east")
    wanted.put(GATEWAY, status(7))
    wanted.put(OTHER, status(7, OTHER))
    assert wanted.acknowledge(str(OTHER), 9) == [OTHER]
    wanted.put(OTHER, status(8, OTHER))
    assert shown(wanted, OTHER) == "True"
    wanted.put(OTHER, status(10, OTHER))
    assert shown(wanted, OTHER) == "False"
    assert wanted.acknowledge(str(OTHER), 10) == [OTHER]


def test_a_gateway_whose_proxies_cannot_be_deployed_is_not_programmed() -> None:
    """Whatever its proxies have acknowledged, and whatever else it lacks."""
    wanted = Wanted("east")
    wanted.put(GATEWAY, status(7))
    assert wanted.acknowledge(str(GATEWAY), 7, "Service default/gw: is taken") == [GATEWAY]
    (condition,) = (wanted[GATEWAY] or {})["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "NoResources")
    assert "Service default/gw: is taken" in condition["message"]
    addressless = status(8)
    addressless["status"]["conditions"][0] |= {"status": "False", "reason": "AddressNotAssigned"}
    wanted.put(GATEWAY, addressless)
    assert (wanted[GATEWAY] or {})["conditions"][0]["reason"] == "NoResources"
    assert wanted.acknowledge(str(GATEWAY), 7, "Service default/gw: is taken") == []
    assert wanted.acknowledge(str(GATEWAY), 7) == [GATEWAY]
    assert (wanted[GATEWAY] or {})["conditions"][0]["reason"] == "AddressNotAssigned"


def test_of_what_only_waits_for_a_gateway_that_is_not_told() -> None:
    wanted = Wanted("east")
    set_ = GATEWAY._replace(kind="ListenerSet", name="set")
    wanted.put(set_, status(7))
    wanted.acknowledge(str(GATEWAY), 7, "Service default/gw: is taken")
    assert shown(wanted, set_) == "True"


def test_what_is_wanted_no_more_waits_for_nothing() -> None:
    wanted = Wanted("east")
    wanted.put(GATEWAY, status(7))
    wanted.put(GATEWAY, None)
    assert wanted[GATEWAY] is None
    assert wanted._waiting == {}  # noqa: SLF001  else there would be one for every Gateway that ever was
    assert wanted.acknowledge(str(GATEWAY), 9) == []
    assert list(wanted.refs()) == []


def test_other_clusters_are_somebody_elses() -> None:
    wanted = Wanted("west")
    assert not wanted.put(GATEWAY, status(7))
    assert list(wanted.refs()) == []


def test_a_gateway_in_several_clusters_waits_for_all_of_them() -> None:
    """And is told where its proxies cannot be deployed."""
    wanted, west = Wanted("east"), f"{GATEWAY}@west"
    told = status(7)
    told["programmed"] = {str(GATEWAY): 7, west: 7}
    wanted.put(GATEWAY, told)
    wanted.acknowledge(str(GATEWAY), 7)
    assert shown(wanted, GATEWAY) == "False"
    assert wanted.acknowledge(west, 8) == [GATEWAY]
    assert shown(wanted, GATEWAY) == "True"
    assert wanted.acknowledge(west, 8, "namespace default is not there") == [GATEWAY]
    (condition,) = (wanted[GATEWAY] or {})["conditions"]
    assert "in cluster west: namespace default is not there" in condition["message"]
    assert wanted.acknowledge(str(GATEWAY), 8, "") == []
    assert wanted.acknowledge(west, 8, "") == [GATEWAY]
    assert shown(wanted, GATEWAY) == "True"
