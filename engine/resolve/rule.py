"""Rules of a route that takes requests, resolved: what happens to what a match chose, and what stands against it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from engine.graph.reader import Json, Reader
from engine.models.duration import milliseconds
from engine.ref import Ref
from engine.resolve.annotations import annotated, redirected
from engine.resolve.attachment import Served
from engine.resolve.backend import manners
from engine.resolve.backend_config import At, hash_policies
from engine.resolve.backend_ref import referenced
from engine.resolve.extension_ref import extended, policies
from engine.resolve.filters import FilterSet, filter_set
from engine.resolve.held import fall_back
from engine.resolve.manifest import (
    GATEWAY_API,
    created,
    held_fact,
    items,
    mapping,
    metadata_of,
    served_object,
    spec_of,
)
from engine.resolve.matching import has_regex
from engine.resolve.policy import Aim, Block, blocks, merged, over
from engine.resolve.route_kinds import requests_of
from engine.resolve.settings import settings
from engine.resolve.values import (
    BackendKey,
    Destination,
    Match,
    Mirror,
    Over,
    PathType,
    Problem,
    Protocol,
    Retry,
    Rewrite,
    Rule,
    Session,
    Timeouts,
    Verdict,
)
from engine.resolve.way import Group, Selection

_LABELLED: Final = ("delegation.kgateway.dev", "label")


@dataclass(frozen=True, slots=True)
class ResolvedRule:
    """A rule with its matches, and the TrafficPolicies' blocks that are in force for it alone.

    `named` are the policies that it names itself.
    """

    matches: tuple[Match, ...]
    rule: Rule
    blocks: tuple[Block, ...] = ()
    named: tuple[Ref, ...] = ()


@dataclass(frozen=True, slots=True)
class ResolvedRoute:
    """All rules of a route. `unresolved` are problems of references, `replaced` those of rules that only fail."""

    rules: tuple[ResolvedRule, ...]
    unresolved: tuple[Problem, ...]
    replaced: tuple[Problem, ...]
    created: str
    generation: int
    fallen_back: Problem | None = None
    """Set while an earlier revision is served, because a proxy rejected the present one."""
    left_out: tuple[Problem, ...] = ()
    """Of matches that are not served, since Envoy would take no such route, and of annotations that say nothing."""
    weight: int | None = None
    """Goes before all other precedence, the higher first; None where weights do not count."""

    @property
    def verdict(self) -> Verdict:
        """What stands against it."""
        partly = (self.fallen_back,) if self.fallen_back is not None else ()
        if self.replaced and len(self.replaced) == len(self.rules):
            return Verdict(self.unresolved, self.replaced, partly)
        return Verdict(self.unresolved, (), (*partly, *self.replaced, *self.left_out))


def resolved_route(graph: Reader, key: Served) -> ResolvedRoute | None:
    """The rules of a route as one Gateway is served them; None when the route is absent."""
    object_ = served_object(graph, key.gateway, key.route)
    resource = graph.read(key.route)
    if object_ is None or resource is None:
        return None
    held = bool(graph.fact(held_fact(key.gateway, key.route)))
    quarantined = held and resource.previous is None
    unresolved: list[Problem] = []
    requests = requests_of(key.route)
    whole = graph.get(blocks, Aim(key.gateway, "TrafficPolicy", key.route))
    rules = []
    notes = annotated(graph, object_)
    for item in items(spec_of(object_).get("rules")) or [{}]:
        matches = requests.matches(item)
        if quarantined:
            text = "a proxy rejected this rule and there is no earlier revision: see penstock status, then mend it"
            safe = tuple(match for match in matches if not has_regex(match))
            rules.append(ResolvedRule(safe, _replaced(key, Problem("Quarantined", text))))
            continue
        named, merging = policies(graph, key, item), settings(graph).deep_merges
        mine = over(whole, _of_section(graph, key, str(item.get("name") or "")), merging)
        mine = over(mine, merged(graph, key.gateway, named), merging)
        does = redirected(_rule(graph, key, item, matches, unresolved), notes.code)
        rules.append(ResolvedRule(matches, does, mine, named))
    # What fails for want of what it names is told as that: it is as its author wishes once the object is there.
    replaced = tuple(
        one.rule.replaced for one in rules if one.rule.replaced is not None and one.rule.replaced not in unresolved
    )
    metadata = metadata_of(object_)
    return ResolvedRoute(
        tuple(rules),
        tuple(unresolved),
        replaced,
        created(object_),
        int(metadata.get("generation") or 0),
        fall_back(graph, key.gateway, key.route) if held and not quarantined else None,
        notes.problems,
        notes.weight,
    )


def _of_section(graph: Reader, key: Served, name: str) -> tuple[Block, ...]:
    return graph.get(blocks, Aim(key.gateway, "TrafficPolicy", key.route, name)) if name else ()


def _rule(graph: Reader, key: Served, item: Json, matches: tuple[Match, ...], unresolved: list[Problem]) -> Rule:
    filters = filter_set(items(item.get("filters")), matches)
    if filters.problem is not None:
        return _replaced(key, filters.problem)
    refs = items(item.get("backendRefs"))
    delegates: tuple[Selection, ...] = ()
    if requests_of(key.route).delegates:
        refs, delegates, problem = _delegated(key.route, refs, matches)
        if problem is not None:
            return _replaced(key, problem)
    destinations = tuple(_destination(graph, key, one, matches, unresolved) for one in refs)
    for one in destinations:
        if one.problem is not None and one.problem.reason == "UnsupportedValue":
            return _replaced(key, one.problem)
    rule = Rule(
        name=str(item.get("name") or ""),
        destinations=tuple(_as_it_wants(graph, one, filters.rewrite) for one in destinations),
        redirect=filters.redirect,
        rewrite=filters.rewrite,
        request_headers=filters.request_headers,
        response_headers=filters.response_headers,
        mirrors=_mirrors(graph, key, filters, unresolved),
        cors=filters.cors,
        timeouts=_timeouts(mapping(item.get("timeouts"))),
        retry=_retry(item.get("retry")),
        session=_session(item.get("sessionPersistence"), key.route),
        failure=requests_of(key.route).failure,
        delegates=delegates,
    )
    return extended(graph, key, rule, filters.extensions, unresolved)


def _delegated(
    route: Ref, refs: list[Json], matches: tuple[Match, ...]
) -> tuple[list[Json], tuple[Selection, ...], Problem | None]:
    """The references to backends, the selections of those to routes, and what stands against the latter."""
    found = [(one, selection(route, one)) for one in refs]
    delegates = tuple(dict.fromkeys(made for _, made in found if made is not None))
    problem = None
    if delegates and any(match.path_type is not PathType.PREFIX for match in matches):
        problem = Problem("UnsupportedValue", "a rule that delegates has to match a PathPrefix: use that type")
    if any(one.get("filters") for one, made in found if made is not None):
        text = "a backendRef that delegates cannot have filters: move them to the rule, or into those routes"
        problem = Problem("UnsupportedValue", text)
    return [one for one, made in found if made is None], delegates, problem


def selection(route: Ref, item: Json) -> Selection | None:
    """What a backendRef delegates to; None when it names a backend."""
    kind, name = (item.get("group"), item.get("kind")), str(item.get("name", ""))
    namespace = str(item.get("namespace") or route.namespace)
    if kind == _LABELLED:
        return Selection(Group.LABEL, route.cluster, "" if namespace == "all" else namespace, name)
    if kind != (GATEWAY_API, "HTTPRoute"):
        return None
    if name == "*":
        return Selection(Group.NAMESPACE, route.cluster, namespace)
    return Selection(Group.NAME, route.cluster, namespace, name)


def _replaced(key: Served, problem: Problem) -> Rule:
    return Rule(replaced=problem, failure=requests_of(key.route).failure)


def _backend(graph: Reader, key: Served, item: Json) -> tuple[BackendKey, Protocol] | Problem:
    found = referenced(graph, key.route, item)
    if not isinstance(found, Problem) and found[1] is Protocol.HTTP1 and requests_of(key.route).http2:
        return replace(found[0], over=Over.HTTP2), Protocol.H2C
    return found


def _destination(
    graph: Reader, key: Served, item: Json, matches: tuple[Match, ...], unresolved: list[Problem]
) -> Destination:
    weight = int(item.get("weight", 1))
    filters = filter_set(items(item.get("filters")), matches)
    if filters.problem is not None or filters.extensions:
        return Destination(weight, None, filters.problem or _of_a_rule(filters.extensions[0]))
    found = _backend(graph, key, item)
    if isinstance(found, Problem):
        unresolved.append(found)
        return Destination(weight, None, found)
    backend, protocol = found
    return Destination(
        weight,
        backend,
        None,
        protocol,
        filters.request_headers,
        filters.response_headers,
        filters.redirect,
        filters.rewrite,
        _mirrors(graph, key, filters, unresolved),
        filters.cors,
        graph.get(hash_policies, At(key.gateway, backend.ref)),
    )


def _as_it_wants(graph: Reader, one: Destination, of_rule: Rewrite | None) -> Destination:
    """Asked as the backend wants to be: by its hostname, where no filter gives another."""
    if one.backend is None or one.backend.ref.kind != "Backend":
        return one
    wants = graph.get(manners, one.backend)
    given = any(rewrite is not None and rewrite.hostname for rewrite in (of_rule, one.rewrite))
    rewrite = (
        replace(one.rewrite or Rewrite(), hostname=wants.hostname) if wants.hostname and not given else one.rewrite
    )
    return replace(one, rewrite=rewrite, filtered=wants.filtered)


def _of_a_rule(item: Json) -> Problem:
    text = f"an ExtensionRef of a backendRef cannot name {item.get('kind')} {item.get('name')}: name it in the filters "
    return Problem("UnsupportedValue", f"{text}of the rule; until then the rule fails")


def _mirrors(graph: Reader, key: Served, filters: FilterSet, unresolved: list[Problem]) -> tuple[Mirror, ...]:
    """A mirror that cannot be reached is left out: the request itself is not its business."""
    found = []
    for item in filters.mirrors:
        backend = _backend(graph, key, mapping(item.get("backendRef")))
        if isinstance(backend, Problem):
            unresolved.append(backend)
            continue
        fraction = mapping(item.get("fraction"))
        share = (int(fraction.get("numerator", 100)), int(fraction.get("denominator", 100)))
        if item.get("percent") is not None:
            share = (int(item["percent"]), 100)
        found.append(Mirror(backend[0], share))
    return tuple(found)


def _timeouts(item: Json) -> Timeouts:
    return Timeouts(milliseconds(item.get("request")), milliseconds(item.get("backendRequest")))


def _retry(item: object) -> Retry | None:
    if not isinstance(item, dict):
        return None
    codes = tuple(sorted({int(code) for code in item.get("codes") or ()}))
    attempts = item.get("attempts")
    return Retry(codes, 1 if attempts is None else int(attempts), milliseconds(item.get("backoff")))


def _session(value: object, route: Ref) -> Session | None:
    if value is None:
        return None
    item = mapping(value)  # {} asks for a session with all defaults
    kind = str(item.get("type", "Cookie"))
    name = str(item.get("sessionName") or f"penstock-{route.namespace}-{route.name}")
    permanent = mapping(item.get("cookieConfig")).get("lifetimeType") == "Permanent"
    lifetime = (milliseconds(item.get("absoluteTimeout")) or 0) // 1000 if permanent else None
    return Session(kind, name, lifetime)
