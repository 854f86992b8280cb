"""The proxies that Gateways want, and the addresses that they get, through changes of what they depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.engine import Engine, EngineSettings
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import Update
from tests.support.manifests import change_set, delete, gateway, put

_KUBERNETES = EngineSettings(bind_address="0.0.0.0", shared_address=False, service_addresses=True)
_KEY = "local/gateway.networking.k8s.io/Gateway/default/gw"


class Site:
    def __init__(self, given: EngineSettings = _KUBERNETES) -> None:
        self.engine = Engine(Sealer(bytes(KEY_BYTES)), given)
        self.number = 0

    def apply(self, *changes: Any) -> Update:
        self.number += 1
        return self.engine.apply(change_set(*changes, number=self.number), self.number)

    @property
    def row(self) -> dict[str, Any] | None:
        return self.engine.everything().infra.set.get(_KEY)

    def condition(self, kind: str) -> tuple[str, str]:
        status = self.engine.everything().statuses.set[_KEY]["status"]
        return next((one["status"], one["reason"]) for one in status["conditions"] if one["type"] == kind)


def _service(*addresses: str) -> Put:
    body = {
        "metadata": {"labels": {"gateway.networking.k8s.io/gateway-name": "gw"}},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"ip": one} for one in addresses]}},
    }
    return put("", "v1", "Service", "gw", body)


def _named(generation: int = 2) -> Put:
    made = gateway(generation=generation)
    ref = {"group": "gateway.kgateway.dev", "kind": "GatewayParameters", "name": "gwp"}
    return Put(made.ref, {**made.object, "spec": {**made.object["spec"], "infrastructure": {"parametersRef": ref}}})


def _parameters(spec: dict[str, Any], generation: int = 1) -> Put:
    return put("gateway.kgateway.dev", "v1alpha1", "GatewayParameters", "gwp", {"spec": spec}, generation)


def test_an_address_comes_and_goes_and_moves_nothing_else() -> None:
    site = Site()
    site.apply(gateway())
    assert site.condition("Programmed") == ("False", "AddressNotAssigned")
    site.apply(_service())
    assert site.condition("Programmed") == ("False", "AddressNotAssigned")
    update = site.apply(_service("10.0.0.1"))
    assert site.condition("Programmed") == ("True", "Programmed")
    assert set(update.statuses.set) == {_KEY}
    assert update.statuses.set[_KEY]["status"]["addresses"] == [{"type": "IPAddress", "value": "10.0.0.1"}]
    assert not (update.fragments or update.infra)
    assert not site.apply(_service("10.0.0.1")).statuses
    site.apply(delete(_service()))
    assert site.condition("Programmed") == ("False", "AddressNotAssigned")


def test_parameters_that_go_hold_what_runs() -> None:
    site = Site()
    site.apply(_named(), _parameters({"kube": {"deployment": {"replicas": 2}}}))
    assert site.row is not None
    assert (site.row["parameters"], site.row["held"]) == ({"deployment": {"replicas": 2}}, "")
    site.apply(delete(_parameters({})))
    assert "does not exist" in site.row["held"]
    assert site.condition("Accepted") == ("False", "InvalidParameters")
    site.apply(_parameters({"kube": {"deployment": {"replicas": 3}}}))
    assert (site.row["parameters"], site.row["held"]) == ({"deployment": {"replicas": 3}}, "")
    assert site.condition("Accepted") == ("True", "Accepted")


def test_a_refused_revision_of_parameters_changes_no_proxy() -> None:
    site = Site()
    site.apply(_named(), _parameters({"kube": {"deployment": {"replicas": 2}}}))
    before = site.row
    update = site.apply(_parameters({"kube": {"deployment": {"replicas": "many"}}}, 2))
    assert not update.infra
    assert site.row == before
    assert site.condition("Accepted") == ("False", "InvalidParameters")


def test_who_is_managed_by_somebody_else_has_no_row() -> None:
    site = Site()
    site.apply(_named(), _parameters({}))
    assert site.row is not None
    update = site.apply(_parameters({"selfManaged": {}}, 2))
    assert update.infra.removed == {_KEY}
    assert site.row is None
    assert site.condition("Accepted") == ("True", "Accepted")


def test_a_certificate_that_is_bad_takes_no_port_from_the_service() -> None:
    site = Site()
    tls = {"mode": "Terminate", "certificateRefs": [{"name": "missing"}]}
    site.apply(gateway("gw", {"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls}))
    assert site.row is not None
    assert site.row["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert site.condition("Programmed") == ("False", "Invalid")


def test_the_proxies_own_ports_are_taken_for_tcp_alone() -> None:
    site = Site(replace(_KUBERNETES, reserved_ports=(8082,)))
    tcp, udp = ({"name": one, "port": 8082, "protocol": protocol} for one, protocol in (("t", "TCP"), ("u", "UDP")))
    site.apply(gateway("gw", tcp, udp))
    assert site.row is not None
    assert site.row["ports"] == [{"port": 8082, "protocol": "UDP"}]
    refused = site.engine.everything().statuses.set[_KEY]["status"]["listeners"][0]["conditions"]
    assert ("Accepted", "False", "PortUnavailable") in [(one["type"], one["status"], one["reason"]) for one in refused]
