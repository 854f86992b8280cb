"""Why a request is answered as it is, as JSON: each step, what decided it, and the objects behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from envoy_data_plane.envoy.config.route.v3 import RouteMatch

from engine.history.explain.answer import Answer, Outcome
from engine.history.explain.backend import endpoints
from engine.history.explain.config import Config, Placed, port_of
from engine.history.explain.evaluator import Table, answer, filters_of, table_of
from engine.history.explain.filters import passing
from engine.history.explain.listener import Arrived, arrive, mutated, seen
from engine.history.explain.order import why_first
from engine.history.explain.provenance import Set, field_of, fields_of, objects, of_cluster, policies, source
from engine.history.explain.request import Request, Seen
from engine.history.explain.route import MILLION, Check, checks, up_to
from engine.history.explain.virtual_host import domain_of
from engine.history.revisions import Revision, Revisions
from engine.history.routing import features
from engine.ref import Ref
from engine.update import FragmentKind

SEALED: Final = "(sealed)"


def explanation(config: Config, request: Request, revisions: Revisions) -> dict[str, Any]:
    """All of it; `revisions` tell of each object which one is served: generation, offset, time and actor."""
    found = answer(config, request)
    told: dict[str, Any] = {"gateway": _name(config.gateway), "cluster": config.gateway.cluster}
    there = arrive(config, request)
    fragments = []
    if isinstance(there, Arrived):
        fragments.append(config.fragment(FragmentKind.LISTENER, there.listener.name))
        told["listener"] = _listener(there)
        asked = seen(there.manager, request) if there.manager is not None else ""
        table = table_of(config, there.manager, asked) if isinstance(asked, Seen) and there.manager else None
        if isinstance(asked, Seen) and table is not None and there.manager is not None:
            fragments.append(config.fragment(FragmentKind.ROUTE_CONFIG, table.route_config.name))
            told |= _of_table(config, there, table, asked, found)
            if table.host is not None:
                fragments.append(config.fragment(FragmentKind.VIRTUAL_HOST, table.host.name))
                fragments += [one.fragment for one in _winners(config, table, found)]
    told["outcomes"] = [_outcome(config, one) for one in found.outcomes]
    told["undecided"] = [field_of(one) for one in found.undecided]
    told["reason"] = found.reason
    for one in found.outcomes:
        fragments += [config.fragment(kind, one.cluster) for kind in (FragmentKind.CLUSTER, FragmentKind.ENDPOINTS)]
    told["objects"] = [_revision(config.gateway, ref, revisions) for ref in sorted(objects(fragments))]
    return told


def listens(config: Config, port: int) -> bool:
    """Whether a Gateway has a listener of requests or connections on a port."""
    return any(port_of(one) == port for one in config.listeners)


def _listener(there: Arrived) -> dict[str, Any]:
    names = there.chain.filter_chain_match.server_names if there.chain.filter_chain_match is not None else []
    return {
        "name": there.listener.name,
        "filterChain": there.chain.name,
        "serverNames": list(names),
        "set": [_set(Set(*one)) for one in _listener_fields(there)],
    }


def _listener_fields(there: Arrived) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for place, message in (("listener", there.listener), ("filter chain", there.chain)):
        for field, owners in fields_of(message).items():
            yield field, place, owners


def _of_table(config: Config, there: Arrived, table: Table, asked: Seen, found: Answer) -> dict[str, Any]:
    ignore = table.route_config.ignore_port_in_host_matching
    name = table.route_config.name
    domain = domain_of(config.domains(name), asked.host, ignore_port=ignore)
    host = {"routeConfiguration": name, "name": found.virtual_host, "domain": domain, "host": asked.host}
    told: dict[str, Any] = {"virtualHost": host}
    if table.host is None:
        return told
    winners = _winners(config, table, found)
    told["routes"] = list(_candidates(config.routes(table.host.name), asked, winners, _secret(config, there)))
    told["filters"] = _filters(there, table, asked, winners)
    told["policies"] = [_set(one) for one in policies(table, winners[0].message if winners else None)]
    told["features"] = [one for placed in winners for one in _features(placed)]
    return told


def _winners(config: Config, table: Table, found: Answer) -> list[Placed]:
    """The routes that take a share of the requests, in order."""
    keys = {one.route for one in found.outcomes if one.route}
    routes = config.routes(table.host.name) if table.host is not None else ()
    return [one for one in routes if str(one.fragment.key) in keys]


def _secret(config: Config, there: Arrived) -> frozenset[str]:
    """Headers whose values a Secret may have set before routes are looked for: nobody's to read."""
    fragment = config.fragment(FragmentKind.LISTENER, there.listener.name)
    is_sealed = fragment is not None and fragment.sealed and there.manager is not None
    return frozenset(mutated(there.manager)) if is_sealed and there.manager is not None else frozenset()


def _candidates(
    routes: tuple[Placed, ...], asked: Seen, winners: list[Placed], secret: frozenset[str]
) -> Iterator[dict[str, Any]]:
    """Each route of the virtual host, with what made it win or lose."""
    before: Placed | None = None
    taken = 0
    for one in routes:
        match = one.message.match or RouteMatch()
        made = [_shown(check, secret) for check in checks(match, asked)]
        end = up_to(match)
        wins = one in winners
        told = {
            "route": one.fragment.key.name.partition("/")[2] or one.fragment.key.name,
            "rule": source(one.message),
            "wins": wins,
            "checks": [check._asdict() for check in made],
        }
        if not all(check.met for check in made):
            told["because"] = "; ".join(_unmet(check._asdict()) for check in made if not check.met)
        elif wins:
            share = (end - taken) / MILLION
            told["because"] = "all of it is met" + (f", for {share:.1%} of such requests" if share < 1 else "")
            taken, before = end, one
        else:
            first = before.message.match or RouteMatch() if before is not None else RouteMatch()
            told["because"] = f"it is met too, but {why_first(first, match)}"
        yield told


def _shown(check: Check, secret: frozenset[str]) -> Check:
    is_secret = check.part.removeprefix("header ") in secret and check.found is not None
    return check._replace(found=SEALED) if is_secret else check


def _unmet(check: Mapping[str, Any]) -> str:
    found = check["found"]
    return f"{check['part']} {check['wants']}: " + (
        "it is not there" if found is None else f"it is {found or '(empty)'}"
    )


def _filters(there: Arrived, table: Table, asked: Seen, winners: list[Placed]) -> list[dict[str, Any]]:
    """The filters that are on, in order, and what each says of the request."""
    if there.manager is None:
        return []
    placed = winners[0] if winners else None
    standing = list(filters_of(there.manager, table, placed))
    found = passing(standing, asked)
    answers = dict(found.answers)
    owners = {one.field: one.objects for one in policies(table, placed.message if placed else None)}
    told: list[dict[str, Any]] = []
    for one in standing:
        says = "lets it through"
        if one.name in answers:
            share = answers[one.name].share
            part = "" if share == 1 else f" to {float(share):.1%} of such requests"
            says = f"answers {answers[one.name].status}{part}"
        elif one.name in found.undecided:
            says = "decides by more than the request"
        field, own = field_of(one.name), [source(placed.message)] if one.nearer and placed is not None else []
        told.append({"name": one.name, "field": field, "says": says, "objects": list(owners.get(field, own))})
    return told


def _features(placed: Placed) -> Iterator[dict[str, Any]]:
    """What the route does beside, with the object that says so; of a sealed one no value, which may be a Secret's."""
    route = placed.message
    owners = fields_of(route)
    for name, value in features(route.to_dict()).items():
        policy = owners.get(_FIELDS.get(name, name), ())
        shown = dict.fromkeys(value, SEALED) if placed.fragment.sealed else value
        yield {"feature": name, "value": shown, "objects": list(policy) or [source(route)]}


_FIELDS: Final = {
    "timeout": "timeouts",
    "idle timeout": "timeouts",
    "path rewrite": "urlRewrite",
    "host rewrite": "autoHostRewrite",
    "internal redirects": "internalRedirect",
    "statistics": "statPrefix",
    "rate limit": "rateLimit.global",
}
"""Of what a route does the field of TrafficPolicy, where it is another word."""


def _outcome(config: Config, one: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": one.kind.value, "share": float(one.share), "status": one.status}
    told |= {name: value for name in ("by", "location", "host", "path") if (value := getattr(one, name))}
    if one.cluster:
        there = endpoints(config, one.cluster)
        told["backend"] = one.cluster
        told["endpoints"] = None if there is None else [each._asdict() for each in there]
        told["set"] = [_set(each) for each in of_cluster(config, one.cluster)]
    return told


def _set(one: Set) -> dict[str, Any]:
    return {"field": one.field, "place": one.place, "objects": list(one.objects), "over": list(one.over)}


def _revision(gateway: Ref, ref: Ref, revisions: Revisions) -> dict[str, Any]:
    """Of an object the revision that is served; `written` is the one in its source where that is another one.

    Of a revision of the past the state has neither offset nor time nor actor: None.
    """
    found = revisions.of(ref, gateway)
    row, is_written = found.row or {}, not found.pin and (not found.held or found.object is None)
    served = found.object if found.object is not None else row.get("object")
    return {
        "object": f"{ref.kind} {_name(ref)}",
        "ref": str(ref),
        "cluster": ref.cluster,
        **_said(served, row if is_written else {}),
        "refused": row.get("refusal") or "",
        "written": None if is_written else _written(revisions.written(ref)),
        "because": "; ".join(_because(found, revisions)),
    }


def _said(object_: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    generation = ((object_ or {}).get("metadata") or {}).get("generation")
    return {"generation": generation} | {name: row.get(name) for name in ("offset", "time", "actor")}


def _written(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else _said(row["object"], row)


def _because(found: Revision, revisions: Revisions) -> Iterator[str]:
    """Why it is not the revision that is written, in words."""
    if found.pin:
        pin = revisions.pin(found.pin)
        who = f"{'pin' if pin['gateway'] else 'rollback'} {found.pin} of {pin['actor'] or 'somebody'}"
        yield f"as of offset {pin['to']} by {who}: {pin['reason']}"
    if found.held and found.row is not None:
        nothing = ", and nothing of it is served" if found.object is None else ""
        since = "" if found.since is None else f" since offset {found.since}"
        generation = _said(found.row["object"], {})["generation"]
        yield f"generation {generation} is held back{since}{nothing}: {found.held}"


def _name(ref: Ref) -> str:
    return f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name
