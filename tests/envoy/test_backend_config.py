"""Random BackendConfigPolicies: the engine never fails on one, and Envoy takes every cluster and route that comes of it.

`BACKEND_CONFIGS` sets how many are drawn; the share that the model takes is printed.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from betterproto2 import Message
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.route.v3 import Route

from engine.engine import Engine
from engine.events import Put
from engine.models.admission import Admitted, admit
from engine.models.kinds import BY_NAME
from engine.models.schema import structural
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from tests.envoy.breaking import changed
from tests.envoy.judge import verdict
from tests.support.manifests import change_set, endpoints, gateway, put, route, service

_DRAWN = int(os.environ.get("BACKEND_CONFIGS", "300"))
_KGATEWAY = "gateway.kgateway.dev"
_KIND = BY_NAME[_KGATEWAY, "BackendConfigPolicy"]
_SPEC = structural(_KIND.model)["properties"]["spec"]
_TEXTS = (
    "a", "a.example.com", "*.example.com", "/x", "", "x y", "é", "a\r\nb: c", "h2", "http/1.1", "System", "10.0.0.1",
    "spiffe://example.com/a", "ECDHE-RSA-AES128-GCM-SHA256", "X25519", "ed25519", "00ff", "1.5", "x" * 300,
)  # fmt: skip
_SPANS = ("0s", "1ms", "2ms", "999ms", "1s", "10s", "5m", "99999h", "99999h99999h99999h99999h", "1x")
_SOME = 0.35


def _drawn(of: random.Random, schema: Mapping[str, Any], path: str = "") -> Any:
    if "enum" in schema:
        return of.choice(schema["enum"])
    match schema.get("type"):
        case "object" if "properties" in schema:
            must = set(schema.get("required", ()))
            return {
                name: _drawn(of, one, f"{path}.{name}")
                for name, one in schema["properties"].items()
                if name in must or of.random() < _SOME
            }
        case "array":
            return [_drawn(of, schema["items"], path) for _ in range(of.choice((1, 1, 2)))]
        case "boolean":
            return of.random() < 0.5  # noqa: PLR2004
        case "integer":
            least, most = schema.get("minimum", -1), schema.get("maximum", 2**31 - 1)
            return of.choice((least, most, least + 1, of.randint(least, most), of.randint(least, min(most, 2_000))))
        case "string":
            is_span = any("h|m|s|ms" in one["rule"] for one in schema.get("x-kubernetes-validations", ()))
            return of.choice(_SPANS if is_span else _TEXTS)
    return of.choice((65_535, 2**31 - 1, "64Ki", "1M", "1Gi", "3Gi", "x"))


def _spec(of: random.Random) -> dict[str, Any]:
    """Few fields at a time, of a union mostly one: of many at once there is always one that is refused."""
    found: dict[str, Any] = {}
    fields = [one for one in _SPEC["properties"] if not one.startswith("target")]
    for name in of.sample(fields, of.choice((1, 1, 2, 3))):
        found[name] = _drawn(of, _SPEC["properties"][name])
    for block, members in (
        ("loadBalancer", ("leastRequest", "roundRobin", "ringHash", "maglev", "random")),
        ("healthCheck", ("http", "grpc", "tcp")),
        ("tls", ("secretRef", "insecureSkipVerify", "wellKnownCACertificates")),
    ):
        if block in found:
            kept = of.choice(members)
            found[block] = {k: v for k, v in found[block].items() if k not in members or k == kept}
            found[block][kept] = _drawn(of, _SPEC["properties"][block]["properties"][kept])
    # Files that are not there make Envoy refuse, which the engine cannot know.
    found.get("tls", {}).pop("files", None)
    return found


_PLACES = (
    {"group": "", "kind": "Service", "name": "plain"},
    {"group": "", "kind": "Service", "name": "h2"},
    {"group": _KGATEWAY, "kind": "Backend", "name": "named"},
)


def _policy(spec: dict[str, Any]) -> Put:
    return put(_KGATEWAY, "v1alpha1", "BackendConfigPolicy", "p", {"spec": {"targetRefs": list(_PLACES), **spec}})


def _messages(policy: Put, number: int) -> list[Message]:
    """The clusters and routes that a policy shapes; names are told apart by the number."""
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    named = {"spec": {"static": {"hosts": [{"host": "a.invalid", "port": 80}]}}}
    to = [{"backendRefs": [{"name": one["name"], "port": 80, **one}]} for one in _PLACES]
    update = engine.apply(
        change_set(
            gateway(), service("plain"), endpoints("plain"), service("h2", appProtocol="kubernetes.io/h2c"),
            endpoints("h2"), put(_KGATEWAY, "v1alpha1", "Backend", "named", named), route("r", rules=to), policy,
        ),
        0,
    )  # fmt: skip
    assert not update.warnings, (policy.object["spec"], update.warnings)
    found: list[Message] = []
    for one in update.fragments.set.values():
        if one.key.kind is FragmentKind.CLUSTER:
            message = Cluster.parse(one.payload)
            found.append(changed(message, name=f"{message.name}-{number}"))
        elif one.key.kind is FragmentKind.ROUTE:
            found.append(Route.parse(one.payload))
    assert sum(isinstance(one, Cluster) for one in found) == len(_PLACES), policy.object["spec"]
    return found


def test_envoy_takes_what_comes_of_any_policy() -> None:
    of = random.Random(20261126)  # noqa: S311  not for secrets
    taken: dict[bytes, tuple[Message, dict[str, Any]]] = {}
    counted: Counter[bool] = Counter()
    for number in range(_DRAWN):
        spec = _spec(of)
        policy = _policy(spec)
        is_taken = isinstance(admit(policy.ref, policy.object), Admitted)
        counted[is_taken] += 1
        for one in _messages(policy, number) if is_taken else ():
            taken.setdefault(bytes(changed(one, name="")), (one, spec))
    print(f"{counted[True]} of {_DRAWN} taken, {len(taken)} messages")  # noqa: T201  the share is evidence
    assert counted[True] > _DRAWN / 2
    for cls in (Cluster, Route):
        wrong = asyncio.run(_rejected([one for one in taken.values() if isinstance(one[0], cls)]))
        assert not wrong, "\n".join(f"{said}: {spec}" for spec, said in wrong)


async def _rejected(messages: list[tuple[Message, dict[str, Any]]]) -> list[tuple[dict[str, Any], str]]:
    """Those that Envoy does not take: many are asked about together, and where it refuses, in halves."""
    is_taken, said = await verdict(*(message for message, _ in messages))
    if is_taken or len(messages) == 1:
        return [] if is_taken else [(messages[0][1], said[-400:])]
    half = len(messages) // 2
    return [*await _rejected(messages[:half]), *await _rejected(messages[half:])]
