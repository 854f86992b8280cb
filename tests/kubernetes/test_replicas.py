"""Two replicas of every role: whichever is killed, the other goes on, and nobody's request notices."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.events import Delete, Put
from engine.ref import Ref
from streams.codec import decode_change_set
from streams.kafka import KafkaLog
from streams.ports import Record
from streams.topics import Topic
from tests.e2e.site import GATEWAY, Site, answering, asked_all_along, route
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.replicas import LEASES, ROLES, Installation, Replica, called, holder, proxy, replicas
from tests.kubernetes.test_served import _STATIC, _TO_IT, applied, emptied
from tests.support.running import START_SECONDS, free_port, until

pytestmark = [pytest.mark.kubernetes, pytest.mark.kafka, pytest.mark.envoy, pytest.mark.timeout(1800)]
_API = "/apis/gateway.networking.k8s.io/v1/namespaces/default"
_GATEWAY, _ROUTE, _SERVICE = f"{_API}/gateways/gw", f"{_API}/httproutes/r", "/api/v1/namespaces/default/services/gw"
_DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/gw"
_REF = "east/gateway.networking.k8s.io/Gateway/default/gw"
_EXTRA = "{{name: http, port: {port}, protocol: HTTP}}, {{name: extra, port: {extra}, protocol: HTTP}}"
_KINDS = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}
_BY_LEASE = ("watch", "write-status", "deploy")
_SECONDS = 300.0
"""A Lease holds 15 s, a group's session 6 s; a machine may be busy."""


@dataclass
class Town:
    """An installation of two replicas that serves one Gateway, and what was asked of it so far."""

    server: ApiServerProcess
    site: Site
    installation: Installation
    both: list[Replica]
    number: int = 0
    said: list[str] = field(default_factory=list)

    def moves(self) -> None:
        """A change of the route and one of the Gateway reach the proxies, the statuses and the deployment."""
        self.number += 1
        header, extra = f"v{self.number}", free_port()
        listeners = _EXTRA.format(port=self.site.port, extra=extra)
        changed = GATEWAY.format(name="gw", port=0).replace("{name: http, port: 0, protocol: HTTP}", listeners)
        self.said.append(header)
        applied(self.server, changed, _routed(header))
        questions = {
            "the route is served": lambda: self.site.ask() == (200, header),
            "its status is told": lambda: _is_told(called(self.server, "GET", _ROUTE), "Accepted", "ResolvedRefs"),
            "the Service has the port": lambda: extra in self.ports(),
            "the Gateway is programmed": lambda: _is_told(called(self.server, "GET", _GATEWAY), "Accepted", "Programmed"),
        }
        for words, question in questions.items():
            until(question, _SECONDS, lambda words=words: f"not so: {words}\n{self.complaints()}")  # type: ignore[misc]
        assert not [one.ended() for one in self.both if one.ended()], self.complaints()

    def complaints(self) -> str:
        states = [str(called(self.server, "GET", path).get("status")) for path in (_ROUTE, _GATEWAY)]
        found = asyncio.run(_records(self.installation))
        told = [f"{len(records)} records in {topic}" for topic, records in found.items()]
        told += [f"{one.offset}: {(one.value or b'')[:400]!r}" for one in found[Topic.CHANGES][-3:]]
        return "\n".join([str(self.site.ask()), *states, *told, *(one.complaints() for one in self.both)])

    def ports(self) -> list[int]:
        """The ports of the Gateway's Service."""
        return [one["port"] for one in called(self.server, "GET", _SERVICE)["spec"]["ports"]]

    def addressed(self) -> None:
        """What a cloud does: the Gateway's Service gets an address."""
        until(lambda: called(self.server, "GET", _SERVICE), START_SECONDS, self.complaints)
        status = {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}
        called(self.server, "PATCH", f"{_SERVICE}/status", {"status": status})


def _routed(header: str) -> str:
    return route(header).replace("backendRefs: [{name: be, port: 80}]", _TO_IT)


def _is_told(object_: Any, *types: str) -> bool:
    """Whether these conditions are True of the current generation."""
    status = object_.get("status") or {}
    found = [one for part in [*(status.get("parents") or ()), status] for one in part.get("conditions") or ()]
    current = [one for one in found if one["observedGeneration"] == object_["metadata"]["generation"]]
    return set(types) <= {one["type"] for one in current if one["status"] == "True"}


@pytest.fixture
def town(api_server: ApiServerProcess, broker: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Town]:
    prefix = "town-" + re.sub("[^a-z]", "-", request.node.name)
    installation = Installation(tmp_path, api_server.kubeconfig(api_server.port), broker, prefix)
    asyncio.run(KafkaLog(broker, installation.prefix).create_topics())
    with ExitStack() as stack:
        backend = stack.enter_context(answering())
        stack.enter_context(emptied(api_server))
        site = Site(tmp_path, backend)
        namespace = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {LEASES}, namespace: ''}}"
        applied(api_server, namespace, GATEWAY.format(name="gw", port=site.port), _STATIC.format(port=backend), _routed("v0"))
        both = stack.enter_context(replicas(installation, "penstock-a", "penstock-b"))
        found = Town(api_server, site, installation, both)
        found.addressed()
        for name in ("gw-1.default", "gw-2.default"):
            stack.enter_context(proxy(installation, _REF, name, [one.port for one in both]))
        until(lambda: site.ask() == (200, "v0"), _SECONDS, found.complaints)
        found.moves()
        yield found


async def _records(installation: Installation) -> dict[Topic, list[Record]]:
    """What is in each topic that roles hand changes on by."""
    log, found = KafkaLog(installation.brokers, installation.prefix), {}
    for topic in (Topic.CHANGES, Topic.UPDATES, Topic.REPORTS, Topic.CONVERGENCE):
        found[topic] = [record async for batch in log.read(topic, 0) for record in batch]
    return found


async def _log(installation: Installation) -> dict[Ref, Any]:
    """What the log says of the namespace at its end: nothing is in it twice, and nothing goes that was not there."""
    there: dict[Ref, Any] = {}
    async for batch in KafkaLog(installation.brokers, installation.prefix).read(Topic.CHANGES, 0):
        for record in batch:
            for change in decode_change_set(record).changes:
                if isinstance(change, Put):
                    assert there.get(change.ref) != change.object, f"{change.ref} is told twice"
                    there[change.ref] = change.object
                elif isinstance(change, Delete):
                    del there[change.ref]
    return {ref: one for ref, one in there.items() if ref.namespace == "default"}


def test_whichever_replica_of_a_role_is_killed_the_other_goes_on(town: Town) -> None:
    with asked_all_along(town.site) as seen:
        for role in ROLES:
            for one in _in_turn(town, role):
                one.kill(role)
                town.moves()
                one.start(role)
        for one in town.both:  # A node dies, with all that it runs.
            one.kill(*one.processes)
            town.moves()
            one.start(*ROLES)
    assert {status for status, _ in seen} == {200}, seen
    assert list(dict.fromkeys(header for _, header in seen)) == town.said
    for one in town.both:
        # Whoever is killed loses its place, and nobody who lives ever takes another's.
        assert one.says("newer producer") == [], one.complaints()
    assert called(town.server, "GET", _DEPLOYMENT)["metadata"]["generation"] == 1, "nobody's proxies are rolled out anew"
    found = asyncio.run(_log(town.installation))
    current = {ref.kind: one["metadata"].get("generation") for ref, one in found.items() if ref.name in {"r", "gw"}}
    assert current["HTTPRoute"] == called(town.server, "GET", _ROUTE)["metadata"]["generation"]
    assert current["Gateway"] == called(town.server, "GET", _GATEWAY)["metadata"]["generation"]


def _in_turn(town: Town, role: str) -> Iterator[Replica]:
    """The active one of those that a Lease tells, and each of those whose broker decides."""
    if role not in _BY_LEASE:
        yield from town.both
        return
    active = holder(town.server, role)
    yield next(one for one in town.both if one.name == active)
    assert holder(town.server, role) not in {"", active}


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "unwatched"])
def test_a_gateway_that_is_made_anew_gets_its_proxies_again(town: Town, *, is_watched: bool) -> None:
    """Also when nobody sees that it was gone: the same in all but its uid, and what it owns would be collected."""
    before = called(town.server, "GET", _GATEWAY)
    if not is_watched:
        for one in town.both:
            one.kill("watch")
    assert called(town.server, "DELETE", _GATEWAY)
    metadata = {"name": "gw", "namespace": "default"}
    applied(town.server, yaml.safe_dump({**_KINDS, "metadata": metadata, "spec": before["spec"]}))
    uid = called(town.server, "GET", _GATEWAY)["metadata"]["uid"]
    assert uid != before["metadata"]["uid"]
    if not is_watched:
        for one in town.both:
            one.start("watch")
    for path in (_DEPLOYMENT, _SERVICE):
        until(lambda path=path: uid in _owners(town, path), _SECONDS, town.complaints)  # type: ignore[misc]
        assert _owners(town, path) == [uid], "and no longer by the one that is gone"
    town.addressed()
    until(lambda: _is_told(called(town.server, "GET", _GATEWAY), "Accepted", "Programmed"), _SECONDS, town.complaints)
    until(lambda: town.site.ask() == (200, town.said[-1]), _SECONDS, town.complaints)
    town.moves()


def _owners(town: Town, path: str) -> list[str]:
    return [one["uid"] for one in called(town.server, "GET", path).get("metadata", {}).get("ownerReferences") or ()]
