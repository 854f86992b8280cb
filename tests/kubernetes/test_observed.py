"""What of an object enters the log: no noise, no secret in clear, and who wrote it."""

from __future__ import annotations

import json
from typing import Any

from engine.engine import Engine
from engine.events import ChangeSet, Put
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.kubernetes.cluster import Target
from streams.sources.kubernetes.observed import Observed, actor, author, entering, observe
from tests.kubernetes.objects import config_map, route, secret, service

_SEALER = Sealer(bytes(KEY_BYTES))


def seen(object_: dict[str, Any], **metadata: Any) -> tuple[Ref, Observed]:
    group, _, version = object_["apiVersion"].rpartition("/")
    found = {**object_, "metadata": {**object_["metadata"], **metadata}}
    return observe(Target(group, object_["kind"], "", version), "c", found, _SEALER)


def entry(manager: str, time: str, subresource: str = "") -> dict[str, str]:
    return {"manager": manager, "operation": "Update", "time": time} | ({"subresource": subresource} if subresource else {})


def test_noise_does_not_enter() -> None:
    last_applied = "kubectl.kubernetes.io/last-applied-configuration"
    _, one = seen(
        {**config_map("ns", "a", "x"), "status": {"x": 1}},
        uid="u", resourceVersion="5", managedFields=[entry("m", "2026-11-24T10:00:00Z")], creationTimestamp="2026-11-24T10:00:00Z",
        annotations={last_applied: "{}", "control-plane.alpha.kubernetes.io/leader": "{}", "mine": "kept"},
    )  # fmt: skip
    assert one.object == {
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"value": "x"},
        "metadata": {"namespace": "ns", "name": "a", "creationTimestamp": "2026-11-24T10:00:00Z", "annotations": {"mine": "kept"}},
    }  # fmt: skip


def test_items_of_a_list_get_their_kind() -> None:
    bare = {key: value for key, value in service("ns", "a").items() if key not in {"apiVersion", "kind"}}
    ref, one = observe(Target("", "Service", "services", "v1"), "c", bare, _SEALER)
    assert ref == Ref("c", "", "Service", "ns", "a")
    assert one.object is not None
    assert (one.object["apiVersion"], one.object["kind"]) == ("v1", "Service")


def test_a_load_balancers_address_is_input_and_other_status_is_none() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}, "conditions": []}
    _, one = seen({**service("ns", "a"), "status": status})
    assert one.object is not None
    assert one.object["status"] == {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    _, other = seen({**route("ns", "a", "svc"), "status": {"parents": []}})
    assert other.object is not None
    assert "status" not in other.object


def test_a_secret_is_sealed() -> None:
    _, one = seen(secret("ns", "a", "swordfish"), annotations={"kubectl.kubernetes.io/last-applied-configuration": "swordfish"})
    assert one.object is not None
    assert b"swordfish" not in one.object.text
    assert _SEALER.unseal_text(one.object["data"]["password"]) == b"swordfish"


def test_the_author_is_the_last_manager_that_wrote_what_is_read() -> None:
    fields = [
        entry("helm", "2026-11-24T10:00:00Z"),
        entry("kubectl", "2026-11-24T11:00:00Z"),
        entry("controller", "2026-11-24T12:00:00Z", "status"),
    ]
    assert author(route("ns", "a") | {"metadata": {"managedFields": fields}}) == ("kubectl", "2026-11-24T11:00:00Z")
    assert author(service("ns", "a") | {"metadata": {"managedFields": fields}})[0] == "controller"
    assert author(route("ns", "a")) == ("", "")


def test_an_actor_names_managers_and_times() -> None:
    found = [Observed(None, f"m{number}", f"T{number}") for number in range(5)] + [Observed(None, "m0", "T9"), Observed()]
    assert actor(found[:1]) == "m0 at T0"
    assert actor(found) == "m0 at T9, m1 at T1, m2 at T2 and 2 more"
    assert actor([Observed()]) == ""


def test_a_field_that_is_not_known_is_left_out_and_the_object_is_served() -> None:
    """A CRD newer than we are."""
    new = route("ns", "a", "svc")
    new["spec"]["futureField"] = {"deep": True}
    new["spec"]["rules"][0]["backendRefs"][0]["futureWeight"] = 3
    ref, one = seen(new, creationTimestamp="2026-11-24T10:00:00Z", generation=4)
    assert one.object is not None
    assert "future" not in json.dumps(dict(one.object))
    engine = Engine(_SEALER)
    engine.apply(ChangeSet("d", "c", "kubernetes", "1", "2026-11-24T10:00:00.000Z", "", (Put(ref, one.object),)), 0)
    assert engine.state()[f"resource/{ref}"]["refusal"] == ""


def test_what_no_model_takes_is_left_for_the_engine_to_refuse() -> None:
    ref, one = seen(route("ns", "a", "svc", path="no-slash"), generation=1)
    assert one.object is not None
    engine = Engine(_SEALER)
    engine.apply(ChangeSet("d", "c", "kubernetes", "1", "2026-11-24T10:00:00.000Z", "", (Put(ref, one.object),)), 0)
    assert "path" in engine.state()[f"resource/{ref}"]["refusal"]


def test_what_cannot_be_a_record_is_a_problem() -> None:
    _, one = seen(config_map("ns", "a", "x" * (2 << 20)))
    assert one.object is None
    assert "bytes" in one.problem


def test_the_servers_generation_is_kept_and_one_it_does_not_give_is_counted() -> None:
    ref, one = seen(route("ns", "a", "svc"), generation=7)
    assert one.object is not None
    assert entering(ref, one.object, None, _SEALER)["metadata"]["generation"] == 7
    ref, first = seen(service("ns", "a"), creationTimestamp="2026-11-24T10:00:00Z")
    assert first.object is not None
    told = entering(ref, first.object, None, _SEALER)
    assert (told["metadata"]["generation"], told["metadata"]["creationTimestamp"]) == (1, "2026-11-24T10:00:00Z")
    assert entering(ref, first.object, told, _SEALER) == told
    _, second = seen(service("ns", "a", 81), creationTimestamp="2026-11-24T10:00:00Z")
    assert second.object is not None
    assert entering(ref, second.object, told, _SEALER)["metadata"]["generation"] == 2
