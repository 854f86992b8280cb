"""What a backend in use puts out: a cluster, and its endpoints apart, so that one can change without the other."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from engine.document import document
from engine.envoy.cluster import assignment, cluster, nobody
from engine.envoy.fragment import Provenance
from engine.envoy.merge import merge_metadata
from engine.envoy.names import assignment_name, cluster_name, secret_name
from engine.envoy.natures import companion
from engine.envoy.shape import Shape
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import (
    BROKEN,
    COMPANION,
    EXPIRY,
    IDENTITY,
    IN_USE,
    NODE,
    POLICY,
    SECRET,
    STATUS,
    Companion,
    Used,
    Wanted,
)
from engine.outputs.emission import Emission, Target, broken, emission, moved
from engine.policies.backend_config.feature import Use
from engine.policies.backend_config.shape import Shaped, Told, shaped
from engine.ref import Ref
from engine.resolve.backend import (
    Held,
    endpoints,
    good_endpoints,
    is_inside,
    last_good,
    nature,
    parts,
    port_protocol,
    problem,
    seen_from,
    slices,
    view_from,
)
from engine.resolve.backend_config import KIND, TLS, in_force, standing
from engine.resolve.backend_config import At as ConfigAt
from engine.resolve.backend_config import sources as sources_of
from engine.resolve.backend_tls import backend_tls, policies
from engine.resolve.backend_type import At
from engine.resolve.certificate import SEALER
from engine.resolve.client_certificate import client_certificate
from engine.resolve.endpoint import Endpoint
from engine.resolve.held import rejected
from engine.resolve.manifest import KGATEWAY, held_fact, metadata_of, object_of, refused_from_the_start
from engine.resolve.placement import elsewhere
from engine.resolve.remote_gateway import Remote
from engine.resolve.service_import import IMPORT, From, direct_endpoints, held_parts, takes_remote
from engine.resolve.settings import settings
from engine.resolve.values import PENDING, Backend, BackendKey, BackendTls, Nature, Problem
from engine.status.condition import condition, not_taken, present
from engine.update import FragmentKey, FragmentKind


def _backend(graph: Reader, key: BackendKey) -> Backend:
    protocol = graph.get(port_protocol, key)
    if isinstance(protocol, Problem):
        msg = f"{key.ref} is used although it cannot be reached"
        raise TypeError(msg)
    return Backend(key, protocol, graph.get(endpoints, key), graph.get(is_inside, key))


def cluster_outputs(graph: Reader, key: Used) -> Outputs:
    """The cluster of a backend. It reads addresses only when they are host names that stand in it."""
    if is_fallen_back(graph, key):
        return _held_cluster(graph, key)
    value = _present(graph, key)
    return Outputs() if value is None else _cluster(graph, key, value)


def is_fallen_back(graph: Reader, key: Used) -> bool:
    """Whether the backend is served as it was before a proxy rejected its cluster.

    A backend that never was another is served as it is, when a policy of the rejected cluster may be at fault: that
    one falls back, too. Of an import what it is made of falls back, or is left out.
    """
    if key.backend.ref.kind == IMPORT and graph.get(parts, key.backend.ref):
        return bool(graph.get(held_parts, At(key.gateway, key.backend)))
    if not graph.fact(held_fact(key.gateway, key.backend.ref)):
        return False
    resource = graph.read(key.backend.ref)
    if resource is not None and resource.previous is not None:
        return True
    return not any(graph.fact(held_fact(key.gateway, one)) for one in _policies(graph, key))


def _policies(graph: Reader, key: Used) -> tuple[Ref, ...]:
    """All that stand at the backend, in force or not."""
    at = ConfigAt(key.gateway, key.backend.ref)
    return (*graph.get(policies, key.backend), *standing(graph, at))


def _present(graph: Reader, key: Used) -> Backend | None:
    protocol = graph.get(port_protocol, key.backend)
    if isinstance(protocol, Problem):
        return None
    inside = graph.get(is_inside, key.backend)
    return graph.get(_backend, key.backend) if inside else Backend(key.backend, protocol, ())


def _held_cluster(graph: Reader, key: Used) -> Outputs:
    """The cluster as it was before a proxy rejected it; without an earlier revision none, and that is told."""
    value = _last_good(graph, key)
    if isinstance(value, Backend):
        return _cluster(graph, key, value)
    name = cluster_name(key.backend, key.gateway.cluster)
    at = FragmentKey(key.gateway, FragmentKind.CLUSTER, name)
    return Outputs(((BROKEN, str(at), value.message),), ((BROKEN, key),), _used(key))


def _cluster(graph: Reader, key: Used, value: Backend) -> Outputs:
    name = cluster_name(key.backend, key.gateway.cluster)
    at = FragmentKey(key.gateway, FragmentKind.CLUSTER, name)
    claims = _claims(graph, key)
    tls, made = _tls(graph, key), graph.get(nature, At(key.gateway, key.backend))
    shape = _shaped(graph, key, value)
    sources = {key.backend.ref, *graph.get(parts, key.backend.ref)}
    if claims:
        sources |= set(graph.get(sources_of, ConfigAt(key.gateway, key.backend.ref)))
    sources |= {tls.policy} if isinstance(tls, BackendTls) else set()
    if isinstance(tls, Problem) or isinstance(made, Problem) or shape.told.closed:
        # Never in clear instead, nor unsigned.
        items, counts = emission(Target(at, key, _provenance(graph, sources)), nobody(name))
        if isinstance(made, Problem) and made.reason != PENDING:
            items, counts = (*items, (BROKEN, str(at), made.message)), (*counts, (BROKEN, key))
        return Outputs(items, counts, claims)
    wanted: list[tuple[str, Hashable]] = []
    if made is not None:
        sources |= set(made.secrets)
        tls = tls or made.tls
        wanted += [(COMPANION, Companion(key.gateway, made.companion))] if made.companion else []
        wanted += [(IDENTITY, key.gateway)] if isinstance(made, Remote) else []
    sealer = graph.fact(SEALER)
    lookup = settings(graph).dns_lookup_family
    message = cluster(replace(value, tls=tls, nature=made), name, _with_names(shape), sealer, lookup)
    is_sealed = shape.shape.sealed or (tls is not None and tls.sealed) or (made is not None and bool(made.secrets))
    target = Target(at, key, _provenance(graph, sources))
    items, counts = emission(target, message, sealer if is_sealed else None)
    wanted += [(index, Wanted(key.gateway, one)) for one in shape.shape.secrets for index in (SECRET, EXPIRY)]
    return Outputs(items, tuple(dict.fromkeys((*counts, *wanted))), claims)


def companion_outputs(graph: Reader, key: Companion) -> Outputs:  # noqa: ARG001  an output query takes both
    """A cluster that others need. What made it is not named: all of them share it."""
    at = FragmentKey(key.gateway, FragmentKind.CLUSTER, key.name)
    return Outputs(*emission(Target(at, key), companion(key.name)))


def _claims(graph: Reader, key: Used) -> tuple[tuple[str, Hashable, Any], ...]:
    """Of the cluster, by those that are to be told of it."""
    return (*((POLICY, one, _rank(key)) for one in _policies(graph, key)), *_used(key))


def _used(key: Used) -> tuple[tuple[str, Hashable, Any], ...]:
    return ((IN_USE, key.backend.ref, _rank(key)),) if key.backend.ref.kind == "Backend" else ()


def _rank(key: Used) -> tuple[Any, ...]:
    return (key.gateway, key.backend.ref, key.backend.port, key.backend.over)


def _provenance(graph: Reader, sources: Iterable[Ref]) -> Provenance:
    return tuple((one, graph.get(generation, one)) for one in sorted(sources))


def _tls(graph: Reader, key: Used) -> BackendTls | Problem | None:
    """As a BackendTLSPolicy says, with the Gateway's own certificate."""
    tls = graph.get(backend_tls, At(key.gateway, key.backend))
    client = graph.get(client_certificate, key.gateway) if isinstance(tls, BackendTls) else None
    return replace(tls, client=secret_name(client)) if isinstance(tls, BackendTls) and isinstance(client, Ref) else tls


def _shaped(graph: Reader, key: Used, value: Backend) -> Shaped:
    """What BackendConfigPolicies make of the cluster."""
    if not graph.get(in_force, ConfigAt(key.gateway, key.backend.ref)):
        return Shaped()
    at = At(key.gateway, key.backend)
    tls, made = graph.get(backend_tls, at), graph.get(nature, at)
    whole = replace(
        value,
        tls=tls if isinstance(tls, BackendTls) else None,
        nature=made if isinstance(made, Nature) else None,
    )
    return shaped(graph, whole, Use(key.gateway, key.backend, cluster_name(key.backend, key.gateway.cluster), whole))


def _with_names(found: Shaped) -> Shape:
    """With the names of those who shaped it."""
    told = merge_metadata(f"merge.{KIND}.{KGATEWAY}", {field: (policy,) for field, policy in found.fields})
    return Shape(metadata={"filter_metadata": told}).over(found.shape) if told else found.shape


def told_of(graph: Reader, key: Used) -> Told:
    """What is to be told of the BackendConfigPolicies at a cluster."""
    value = _last_good(graph, key) if is_fallen_back(graph, key) else _present(graph, key)
    return _shaped(graph, key, value).told if isinstance(value, Backend) else Told()


def is_closed(graph: Reader, key: Used) -> bool:
    """Whether the backend must not be spoken to, since its TLS, or who it is to others, cannot be met."""
    at = At(key.gateway, key.backend)
    if isinstance(graph.get(backend_tls, at), Problem) or isinstance(graph.get(nature, at), Problem):
        return True
    fields = {one.field for one in graph.get(in_force, ConfigAt(key.gateway, key.backend.ref))}
    return TLS in fields and graph.get(told_of, key).closed


def endpoint_outputs(graph: Reader, key: Used) -> Outputs:
    """The endpoint assignment of a backend, and its node."""
    value = assigned(graph, key)
    if isinstance(value, Problem) or value.dns:
        return Outputs()
    found = slices_of(graph, key) or (key.backend.ref, *graph.get(parts, key.backend.ref))
    provenance = tuple((ref, graph.get(generation, ref)) for ref in sorted(set(found)))
    node: dict[str, Any] = {
        "backend": str(key.backend.ref),
        "port": key.backend.port,
        "gateway": str(key.gateway),
        "protocol": value.protocol.value,
        "endpoints": [_shown(one) for one in value.endpoints],
    }
    # Nobody would ask for the endpoints of a cluster that has none.
    items, counts = ((), ()) if is_closed(graph, key) else _assignments(graph, key, value, provenance)
    over = f"/{key.backend.over}" if key.backend.over else ""
    name = f"backend/{key.backend.ref}/{key.backend.port}{over}/{key.gateway}"
    return Outputs((*items, (NODE, name, document(node))), counts)


def _assignments(graph: Reader, key: Used, value: Backend, provenance: Provenance) -> Emission:
    """For proxies in the Gateway's own cluster, and for those of other clusters where theirs are others."""
    name = cluster_name(key.backend, key.gateway.cluster)
    of = Target(FragmentKey(key.gateway, FragmentKind.ENDPOINTS, name), key, provenance)
    made = [emission(of, assignment(value, name))]
    # Most clusters look at it alike: what they see is found out, and encoded, once.
    views: dict[Hashable, Emission | None] = {}
    for one in graph.get(elsewhere, key.gateway):
        view = view_from(graph, From(key.backend, one))
        if view not in views:
            there = assigned(graph, key, one)
            is_other = isinstance(there, Backend) and there.endpoints != value.endpoints
            views[view] = emission(of, assignment(there, name)) if isinstance(there, Backend) and is_other else None
        if (found := views[view]) is not None:
            made.append(moved(found, of.key._replace(name=assignment_name(name, one))))
    items = tuple(item for one in made for item in one.items)
    return Emission(items, tuple(dict.fromkeys(count for one in made for count in one.counts)))


def _shown(one: Endpoint) -> dict[str, Any]:
    more = {"priority": one.priority, "region": one.region, "cluster": one.cluster}
    told = {word: value for word, value in more.items() if value}
    if one.remote:
        told |= {"cluster": one.remote, "weight": one.weight}
    return {"address": one.address, "port": one.port, "zone": one.zone, **told}


def assigned(graph: Reader, key: Used, cluster: str = "") -> Backend | Problem:
    """The backend with its endpoints, as the Gateway is served them: less what its proxies rejected, or cannot ask.

    `cluster` is where these proxies are, "" in the Gateway's own.
    """
    held = _held(graph, key)
    found = _assigned(graph, key, cluster, held)
    if isinstance(found, Problem) or not any(one.remote for one in found.endpoints):
        return found
    if graph.get(takes_remote, At(key.gateway, key.backend)):
        return found
    # Chosen anew: beside remote ones that are ready those that end here did not count.
    return replace(found, endpoints=direct_endpoints(graph, key.backend, cluster or key.gateway.cluster, held))


def _assigned(graph: Reader, key: Used, cluster: str, held: frozenset[Ref]) -> Backend | Problem:
    found = _last_good(graph, key) if is_fallen_back(graph, key) else _as_it_is(graph, key.backend, held)
    if isinstance(found, Problem) or not cluster:
        return found
    return replace(found, endpoints=seen_from(graph, key.backend, cluster, found.endpoints, held))


def _held(graph: Reader, key: Used) -> frozenset[Ref]:
    """What the Gateway is served as it was before a proxy rejected it: slices, and what an import is made of."""
    slices_ = frozenset(one for one in slices_of(graph, key) if graph.fact(held_fact(key.gateway, one)))
    is_import = key.backend.ref.kind == IMPORT
    return slices_ | graph.get(held_parts, At(key.gateway, key.backend)) if is_import else slices_


def _last_good(graph: Reader, key: Used) -> Backend | Problem:
    return graph.get(last_good, Held(key.backend, _held(graph, key)))


def _as_it_is(graph: Reader, key: BackendKey, held: frozenset[Ref]) -> Backend | Problem:
    protocol = graph.get(port_protocol, key)
    if isinstance(protocol, Problem):
        return protocol
    return Backend(key, protocol, good_endpoints(graph, key, held)) if held else graph.get(_backend, key)


def slices_of(graph: Reader, key: Used) -> tuple[Ref, ...]:
    """The EndpointSlices of a backend."""
    ref = key.backend.ref
    return slices(graph, ref) if ref.kind != "Backend" else ()


def backend_broken(graph: Reader, key: Used) -> Problem | None:
    """Why a backend in use is not served, though it is there: what it gives breaks Envoy's field rules."""
    found = broken(graph, key, (cluster_outputs, key), (endpoint_outputs, key))
    if found is None:
        return None
    ref = key.backend.ref
    return Problem("UnsupportedValue", f"{ref.kind} {ref.namespace}/{ref.name} is not served: {found}")


def generation(graph: Reader, ref: Ref) -> int:
    """metadata.generation; whatever else changes in the object stops here."""
    # Who needs the object has read it: this asks for nothing.
    resource = graph.look(ref)
    return int(metadata_of(resource.object if resource is not None else None).get("generation") or 0)


def backend_status(graph: Reader, ref: Ref) -> Outputs:
    """The status of a kgateway Backend."""
    never = refused_from_the_start(graph, ref)
    if never is not None:
        return Outputs(((STATUS, str(ref), document(not_taken(never, ("Accepted",), "Invalid"))),))
    if object_of(graph, ref) is None:
        return Outputs()
    at, refusal = present(graph, ref)
    text = f"{refusal}; until it is mended, the last good revision is served" if refusal else _against(graph, ref)
    one = condition("Accepted", not text, "Invalid" if text else "Accepted", text or "the backend is served", at)
    if not refusal and any(problem.reason == PENDING for problem in _unsent(graph, ref)):
        one |= {"status": "Unknown", "reason": PENDING}
    said = {"generation": at, "status": {"conditions": [one]}, "programmed": {}}
    return Outputs(((STATUS, str(ref), document(said)),))


def _against(graph: Reader, ref: Ref) -> str:
    """What stands against the present revision, in words; "" for nothing."""
    protocol = graph.get(port_protocol, BackendKey(ref, 0))
    if isinstance(protocol, Problem):
        return protocol.message
    told = graph.get(problem, ref)
    unsent = (one.message for one in _unsent(graph, ref))
    return "; ".join(dict.fromkeys([*([told] if told else []), *unsent, *_rejected(graph, ref)]))


def _unsent(graph: Reader, ref: Ref) -> list[Problem]:
    """Why nothing is sent to a Backend that Gateways use: of what none uses no Secret is asked for."""
    found = (graph.get(nature, At(one.gateway, one.backend)) for one in _uses(graph, ref))
    return [one for one in found if isinstance(one, Problem)]


def _rejected(graph: Reader, ref: Ref) -> Iterator[str]:
    """Which Gateways are not served the Backend as it is, in words."""
    for gateway in dict.fromkeys(one.gateway for one in _uses(graph, ref) if is_fallen_back(graph, one)):
        yield rejected(graph, gateway, ref)


def _uses(graph: Reader, ref: Ref) -> list[Used]:
    claims = graph.claimed(IN_USE, ref)
    return [Used(gateway, BackendKey(ref, port, over)) for gateway, _, port, over in claims]
