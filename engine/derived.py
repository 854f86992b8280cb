"""Everything derived: the outputs that exist, what they say now, and what a settling changed. It keeps no facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, MutableMapping
from typing import Any

from engine.deadlines import Deadlines
from engine.graph.cell import AnyQuery
from engine.graph.graph import Graph
from engine.graph.reader import Outputs, QueryFailed
from engine.models.cluster import GROUP as PENSTOCK
from engine.outputs.backend import backend_status, cluster_outputs, companion_outputs, endpoint_outputs
from engine.outputs.backend_config_policy import config_policy_outputs
from engine.outputs.backend_tls_policy import policy_outputs
from engine.outputs.channels import (
    AUTHORITIES,
    BACKEND,
    CHAIN,
    COMPANION,
    CONFIG,
    CREDENTIAL,
    DEADLINE,
    DELEGATED,
    ENTRY,
    EXPIRY,
    EXTENDED,
    HOST,
    IDENTITY,
    INFRA,
    LEG,
    LOOKUP,
    NODE,
    SECRET,
    SHARED,
    STANDING,
)
from engine.outputs.cluster import described_outputs
from engine.outputs.credential import credential_outputs
from engine.outputs.delegation import delegatee_outputs, leg_outputs
from engine.outputs.direct_response import direct_response_outputs, named_outputs
from engine.outputs.extension import extension_outputs
from engine.outputs.gateway import (
    authority_outputs,
    config_outputs,
    expiry_outputs,
    gateway_outputs,
    gateway_status_outputs,
    host_outputs,
    secret_outputs,
)
from engine.outputs.listener_policy import listener_policy_outputs
from engine.outputs.listener_set import listener_set_outputs
from engine.outputs.placement import placement_outputs
from engine.outputs.proxy import proxy_outputs
from engine.outputs.remote_gateway import entry_outputs, identity_outputs
from engine.outputs.route import route_outputs
from engine.outputs.service_export import export_outputs, shared_outputs
from engine.outputs.stream import chain_outputs, stream_outputs
from engine.outputs.traffic_policy import gateway_policy_outputs, stood_outputs
from engine.outputs.traffic_policy import policy_outputs as traffic_policy_outputs
from engine.ref import Ref
from engine.resolve.manifest import GATEWAY_API, KGATEWAY, MULTICLUSTER
from engine.resolve.route_kinds import ROUTE_KINDS
from engine.status.gateway_class import gateway_class_status
from engine.table import Trunk
from engine.update import Delta

ROOTS: dict[tuple[str, str], tuple[AnyQuery, ...]] = {
    **{
        (GATEWAY_API, name): (route_outputs if kind.requests is not None else stream_outputs,)
        for name, kind in ROUTE_KINDS.items()
    },
    (GATEWAY_API, "BackendTLSPolicy"): (policy_outputs,),
    (GATEWAY_API, "ListenerSet"): (listener_set_outputs,),
    (GATEWAY_API, "Gateway"): (
        gateway_outputs,
        gateway_status_outputs,
        gateway_policy_outputs,
        proxy_outputs,
        placement_outputs,
    ),
    (GATEWAY_API, "GatewayClass"): (gateway_class_status,),
    (KGATEWAY, "Backend"): (backend_status,),
    (KGATEWAY, "TrafficPolicy"): (traffic_policy_outputs,),
    (KGATEWAY, "BackendConfigPolicy"): (config_policy_outputs,),
    (KGATEWAY, "GatewayExtension"): (extension_outputs,),
    (KGATEWAY, "HTTPListenerPolicy"): (listener_policy_outputs,),
    (KGATEWAY, "ListenerPolicy"): (listener_policy_outputs,),
    (KGATEWAY, "DirectResponse"): (direct_response_outputs,),
    (MULTICLUSTER, "ServiceExport"): (export_outputs,),
    (PENSTOCK, "Cluster"): (described_outputs,),
}
"""The outputs of an object, by its kind."""

CALLED: dict[str, tuple[AnyQuery, ...]] = {
    HOST: (host_outputs,),
    CONFIG: (config_outputs,),
    STANDING: (stood_outputs,),
    CHAIN: (chain_outputs,),
    BACKEND: (cluster_outputs, endpoint_outputs),
    SECRET: (secret_outputs,),
    CREDENTIAL: (credential_outputs,),
    AUTHORITIES: (authority_outputs,),
    EXPIRY: (expiry_outputs,),
    DELEGATED: (delegatee_outputs,),
    LEG: (leg_outputs,),
    EXTENDED: (named_outputs,),
    COMPANION: (companion_outputs,),
    SHARED: (shared_outputs,),
    ENTRY: (entry_outputs,),
    IDENTITY: (identity_outputs,),
}
"""The outputs that exist while something counts for their key, by counted index."""


class Derived:
    """The items of all outputs, by channel and key."""

    def __init__(self, graph: Graph) -> None:
        self.items: defaultdict[str, MutableMapping[str, Any]] = defaultdict(dict)
        self.warnings: list[str] = []
        self.deadlines = Deadlines()
        self._graph = graph
        self._outputs: MutableMapping[tuple[AnyQuery, Hashable], Outputs] = {}
        self._before: defaultdict[str, dict[str, Any]] = defaultdict(dict)

    def fork(self, graph: Graph, trunk: Trunk) -> Derived:
        """What begins as this, of a fork of its graph; nothing of it has changed yet."""
        fork = Derived(graph)
        for channel, items in self.items.items():
            fork.items[channel] = trunk.over(items)
        fork.deadlines = self.deadlines.fork(trunk)
        fork._outputs = trunk.over(self._outputs)
        return fork

    def watch(self, ref: Ref, *, present: bool) -> None:
        """An object of some kind is there, or no longer."""
        for query in ROOTS.get((ref.group, ref.kind), ()):
            self._exists(query, ref, present=present)

    def settle(self) -> None:
        """Rerun what is stale until nothing is."""
        while changed := self._graph.settle():
            for query, key, answer in changed:
                if isinstance(answer, QueryFailed):
                    # Our own fault, never the user's: what it said last stays until something that it reads changes,
                    # and it is said aloud. A boot has nothing that was said last.
                    self.warnings.append(f"cannot compute {query.__name__} of {key}: {answer}")
                    continue
                self._replace(query, key, answer)
        for ref, is_read in sorted(self._graph.asked().items()):
            name = f"{LOOKUP}{ref}"
            self._note(INFRA, name)
            if is_read:
                self.items[INFRA][name] = {"lookup": str(ref)}
            else:
                self.items[INFRA].pop(name, None)

    def delta(self, channel: str) -> Delta:
        """What differs in a channel since the last `clear`."""
        now = self.items[channel]
        before = self._before[channel]
        changed = {key: now[key] for key in sorted(before) if key in now and now[key] != before[key]}
        removed = frozenset(key for key, old in before.items() if key not in now and old is not None)
        told = before.items() if channel == NODE else ()
        return Delta(changed, removed, {key: old for key, old in told if old is not None and old != now.get(key)})

    def was(self, channel: str, name: str) -> Any:
        """What was said under a name at the last `clear`, None for nothing."""
        before = self._before[channel]
        return before[name] if name in before else self.items[channel].get(name)

    def touched(self, channel: str) -> Iterable[str]:
        """Names of which something else may be said than at the last `clear`."""
        return self._before[channel]

    def clear(self) -> list[str]:
        """Begin anew; answers the warnings."""
        self._before.clear()
        warnings, self.warnings = self.warnings, []
        return warnings

    def _exists(self, query: AnyQuery, key: Hashable, *, present: bool) -> None:
        if present:
            if (query, key) not in self._outputs:
                self._outputs[query, key] = Outputs()
                self._graph.want(query, key)
        elif (query, key) in self._outputs:
            self._graph.unwant(query, key)
            self._replace(query, key, Outputs())
            del self._outputs[query, key]

    def _replace(self, query: AnyQuery, key: Hashable, new: Outputs) -> None:
        old = self._outputs.get((query, key))
        if old is None:
            return
        self._outputs[query, key] = new
        kept = {(channel, name) for channel, name, _ in new.items}
        for channel, name, _ in old.items:
            if (channel, name) not in kept:
                self._note(channel, name)
                gone = self.items[channel].pop(name, None)
                if channel == DEADLINE:
                    self.deadlines.move(gone, None)
        for channel, name, value in new.items:
            self._note(channel, name)
            if channel == DEADLINE:
                self.deadlines.move(self.items[channel].get(name), value)
            self.items[channel][name] = value
        if old.claims != new.claims:
            self._claim(old, new)
        if old.counts != new.counts:
            self._count(old, new)

    def _note(self, channel: str, name: str) -> None:
        self._before[channel].setdefault(name, self.items[channel].get(name))

    def _claim(self, old: Outputs, new: Outputs) -> None:
        before, after = dict.fromkeys(old.claims), dict.fromkeys(new.claims)
        for claim in before:
            if claim not in after:
                self._graph.claim(*claim, present=False)
        for claim in after:
            if claim not in before:
                self._graph.claim(*claim, present=True)

    def _count(self, old: Outputs, new: Outputs) -> None:
        before, after = dict.fromkeys(old.counts), dict.fromkeys(new.counts)
        for index, key in after:
            if (index, key) not in before and self._graph.adjust(index, key, 1) == 1:
                self._called(index, key, present=True)
        for index, key in before:
            if (index, key) not in after and self._graph.adjust(index, key, -1) == 0:
                self._called(index, key, present=False)

    def _called(self, index: str, key: Hashable, *, present: bool) -> None:
        for query in CALLED.get(index, ()):
            self._exists(query, key, present=present)
