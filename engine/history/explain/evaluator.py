"""How a Gateway's proxies answer a request, read off what they are served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Final, NamedTuple

from envoy_data_plane.envoy.config.route.v3 import (
    RouteAction,
    RouteConfiguration,
    VirtualHost,
    VirtualHostTlsRequirementType,
)
from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import CorsPolicy
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManager
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy

from engine.history.explain.action import Target, host_for, missing_cluster, path_for, redirect, targets
from engine.history.explain.answer import WHOLE, Answer, Kind, Outcome
from engine.history.explain.backend import Endpoint, endpoints, is_found_otherwise, is_made_anew
from engine.history.explain.config import Config, Placed
from engine.history.explain.filters import behind, passing
from engine.history.explain.listener import Arrived, arrive, seen
from engine.history.explain.request import Request, Seen
from engine.history.explain.route import MILLION, takes, up_to
from engine.history.explain.standing import Configs, Standing, standing
from engine.history.explain.virtual_host import virtual_host
from engine.update import FragmentKind

_NOT_FOUND: Final = 404
_INVALID: Final = 400
_UNAVAILABLE: Final = 503
_FORBIDDEN: Final = 403
_MOVED: Final = 301
LOCAL_REPLIES: Final = "local replies"
"""Stands among what is undecided where the listener may say otherwise what the proxy itself answers."""
_ROUTER: Final = "envoy.filters.http.router"


class Table(NamedTuple):
    """Where routes are looked for: the route configuration and the virtual host that takes the request."""

    route_config: RouteConfiguration
    host: VirtualHost | None


def answer(config: Config, request: Request) -> Answer:
    """How the Gateway's proxies answer the request. It never raises for what is asked."""
    there = arrive(config, request)
    if isinstance(there, str):
        return Answer(config.gateway, outcomes=(Outcome(Kind.REFUSED),), reason=there)
    found = Answer(config.gateway, there.listener.name, there.chain.name)
    if there.manager is None:
        return replace(found, outcomes=tuple(_streamed(config, there.stream)))
    asked = seen(there.manager, request)
    if isinstance(asked, str):
        return replace(found, outcomes=(Outcome(Kind.INVALID, _INVALID),), reason=asked)
    return _routed(config, found, there, asked)


def table_of(config: Config, manager: HttpConnectionManager, asked: Seen) -> Table | None:
    """The virtual host of a request's host; None where the proxies have no route configuration yet."""
    name = manager.rds.route_config_name if manager.rds is not None else ""
    table: RouteConfiguration | None = config.message(FragmentKind.ROUTE_CONFIG, name)
    if table is None:
        return None
    host = virtual_host(config.domains(name), asked.host, ignore_port=table.ignore_port_in_host_matching)
    return Table(table, None if host is None else config.message(FragmentKind.VIRTUAL_HOST, host))


def filters_of(manager: HttpConnectionManager, table: Table, placed: Placed | None) -> Iterable[Standing]:
    """The filters on the way of a request that a route takes; without one, only those that are on everywhere."""
    if placed is None or table.host is None:
        return standing(manager, ())
    places: tuple[Configs, ...] = (
        placed.message.typed_per_filter_config,
        table.host.typed_per_filter_config,
        table.route_config.typed_per_filter_config,
    )
    found = standing(manager, places)
    # Envoy's filter for CORS looks at routes to backends only.
    return [one for one in found if placed.message.route is not None or not isinstance(one.config, CorsPolicy)]


def _routed(config: Config, found: Answer, there: Arrived, asked: Seen) -> Answer:
    manager = there.manager
    table = table_of(config, manager, asked) if manager is not None else None
    if manager is None or table is None:
        return replace(found, outcomes=(Outcome(Kind.NOT_FOUND, _NOT_FOUND),), reason="there is no route configuration")
    found = replace(found, route_config=table.route_config.name)
    if table.host is None:
        outcomes, undecided = _passed(manager, table, None, asked, [Outcome(Kind.NOT_FOUND, _NOT_FOUND)])
        reason = f"no virtual host takes the host {asked.host}"
        return replace(found, outcomes=outcomes, undecided=undecided, reason=reason)
    found = replace(found, virtual_host=table.host.name)
    ways = list(_ways(config.routes(table.host.name), table.host, asked))
    outcomes, undecided, reason = (), (), ""
    for placed, share in ways:
        ends = _ends(config, manager, table.host, placed, behind(filters_of(manager, table, placed), asked))
        more, may = _passed(manager, table, placed, asked, ends)
        outcomes = (*outcomes, *(replace(one, share=one.share * share) for one in more))
        undecided = tuple(dict.fromkeys((*undecided, *may)))
    if any(one.kind is Kind.NOT_FOUND for one in outcomes):
        reason = f"no route of the virtual host {table.host.name} takes it"
    return replace(found, outcomes=outcomes, undecided=undecided, reason=reason)


def _ways(routes: Iterable[Placed], host: VirtualHost, asked: Seen) -> Iterator[tuple[Placed | None, Fraction]]:
    """The routes that take the request, each with the share of such requests that is left for it."""
    if _wants_tls(host, asked):
        yield None, WHOLE
        return
    begin = 0
    for one in routes:
        if (
            one.message.match is None
            or (end := up_to(one.message.match)) <= begin
            or not takes(one.message.match, asked)
        ):
            continue
        yield one, Fraction(end - begin, MILLION)
        begin = end
        if end >= MILLION:
            return
    yield None, Fraction(MILLION - begin, MILLION)


def _passed(
    manager: HttpConnectionManager, table: Table, placed: Placed | None, asked: Seen, ends: list[Outcome]
) -> tuple[tuple[Outcome, ...], tuple[str, ...]]:
    """What filters answer, and what is left for the router."""
    if any(one.by == _ROUTER and one.kind is Kind.FILTERED for one in ends):
        return tuple(ends), ()  # An upgrade that is not let: no filter sees it.
    found = passing(filters_of(manager, table, placed), asked)
    undecided = found.undecided
    if manager.local_reply_config is not None and manager.local_reply_config.mappers:
        undecided = (*undecided, LOCAL_REPLIES)
    left, outcomes = WHOLE, []
    route = str(placed.fragment.key) if placed is not None else ""
    for name, said in found.answers:
        outcomes.append(Outcome(Kind.FILTERED, said.status, left * said.share, route, by=name))
        left *= 1 - said.share
    if left:
        outcomes += [replace(one, share=one.share * left) for one in ends]
    return tuple(outcomes), undecided


def _ends(
    config: Config, manager: HttpConnectionManager, host: VirtualHost, placed: Placed | None, asked: Seen
) -> list[Outcome]:
    """What the router does."""
    if placed is None:
        if _wants_tls(host, asked):
            if asked.is_upgrade and not _lets_upgrade(manager, None, asked):
                return [Outcome(Kind.FILTERED, _FORBIDDEN, by=_ROUTER)]
            return [Outcome(Kind.REDIRECTED, _MOVED, location=f"https://{asked.host}{asked.headers[':path']}")]
        return [Outcome(Kind.NOT_FOUND, _NOT_FOUND)]
    route, key = placed.message, str(placed.fragment.key)
    if asked.is_upgrade and not _lets_upgrade(manager, placed, asked):
        return [Outcome(Kind.FILTERED, _FORBIDDEN, route=key, by=_ROUTER)]
    if route.redirect is not None:
        status, location = redirect(route, route.redirect, asked)
        return [Outcome(Kind.REDIRECTED, status, route=key, location=location)]
    if route.direct_response is not None:
        return [Outcome(Kind.DIRECT, route.direct_response.status, route=key)]
    action = route.route or RouteAction()
    return [_forwarded(config, placed, asked, one) for one in targets(action, asked)]


def _forwarded(config: Config, placed: Placed, asked: Seen, target: Target) -> Outcome:
    there = endpoints(config, target.cluster)
    action, key = placed.message.route or RouteAction(), str(placed.fragment.key)
    if there is None:
        return Outcome(Kind.UNSERVED, missing_cluster(action), target.share, key, cluster=target.cluster)
    if not there and not is_found_otherwise(config, target.cluster):
        return Outcome(Kind.UNSERVED, _UNAVAILABLE, target.share, key, cluster=target.cluster)
    found = Outcome(Kind.FORWARDED, None, target.share, key, cluster=target.cluster)
    if is_made_anew(config, target.cluster):
        return found
    host = host_for(action, target, asked)
    if host is None and there:
        host = _own_name(there, asked)
    return replace(found, host=host, path=path_for(placed.message, asked))


def _own_name(there: tuple[Endpoint, ...], asked: Seen) -> str | None:
    """The backend's; the request's host where it has none, None where it depends on the endpoint."""
    names = {one.name or asked.host for one in there}
    return names.pop() if len(names) == 1 else None


def _wants_tls(host: VirtualHost, asked: Seen) -> bool:
    """Whether the request is sent to https instead."""
    return host.require_tls == VirtualHostTlsRequirementType.ALL and asked.headers["x-forwarded-proto"] != "https"


def _lets_upgrade(manager: HttpConnectionManager, placed: Placed | None, asked: Seen) -> bool:
    """By the route's own word, else by the connection manager's."""
    wanted = asked.headers["upgrade"].lower()
    action = placed.message.route if placed is not None else None
    for one in action.upgrade_configs if action is not None else ():
        if one.upgrade_type.lower() == wanted:
            return one.enabled is not False
    return any(one.upgrade_type.lower() == wanted and one.enabled is not False for one in manager.upgrade_configs)


def _streamed(config: Config, proxy: TcpProxy | None) -> Iterator[Outcome]:
    if proxy is None:
        yield Outcome(Kind.REFUSED)
        return
    weighted = proxy.weighted_clusters.clusters if proxy.weighted_clusters is not None else []
    total = sum(one.weight for one in weighted)
    shares = [(one.name, Fraction(one.weight, total)) for one in weighted] or [(proxy.cluster or "", WHOLE)]
    for cluster, share in shares:
        there = endpoints(config, cluster)
        kind = Kind.STREAMED if there or is_found_otherwise(config, cluster) else Kind.REFUSED
        yield Outcome(kind, share=share, cluster=cluster)
