"""What filters answer themselves, where a request alone decides it; of the others only that they may.

A filter here is known by the type of its config, not by its name.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from betterproto2 import Message
from envoy_data_plane.envoy.config.rbac.v3 import Action, RbacAction
from envoy_data_plane.envoy.extensions.filters.http.api_key_auth.v3 import ApiKeyAuth, ApiKeyAuthPerRoute
from envoy_data_plane.envoy.extensions.filters.http.basic_auth.v3 import BasicAuth, BasicAuthPerRoute
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import Buffer, BufferPerRoute
from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import CorsPolicy
from envoy_data_plane.envoy.extensions.filters.http.csrf.v3 import CsrfPolicy
from envoy_data_plane.envoy.extensions.filters.http.fault.v3 import HttpFault
from envoy_data_plane.envoy.extensions.filters.http.filter_chain.v3 import FilterChainConfigPerRoute
from envoy_data_plane.envoy.extensions.filters.http.health_check.v3 import HealthCheck
from envoy_data_plane.envoy.extensions.filters.http.local_ratelimit.v3 import LocalRateLimit
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import LuaPerRoute
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac, RbacPerRoute

from engine.envoy.typed import unpacked
from engine.history.explain.matcher import of_header, of_text
from engine.history.explain.request import Seen
from engine.history.explain.route import MILLION, is_grpc, millionths, of_million
from engine.history.explain.standing import Standing
from engine.history.explain.tree import Undecidable, chosen

_CHANGING: Final = {"POST", "PUT", "DELETE", "PATCH"}
_DENIED: Final = 403
_UNAUTHORIZED: Final = 401
_GIVEN_UP: Final = 408
_INERT: Final = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_OF_GRPC: Final = {
    0: 200, 1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501,
    13: 500, 14: 503, 15: 500, 16: 401,
}  # fmt: skip
"""The status of HTTP that stands for one of gRPC."""


class Said(NamedTuple):
    """A filter's answer, and the share of such requests that get it."""

    status: int
    share: Fraction = Fraction(1)


UNDECIDED: Final = "undecided"
Saying = Said | str | None
"""UNDECIDED where more than the request decides, None where it lets a request through."""


class Passing(NamedTuple):
    """What filters say of a request, each with its name, and those that may say more."""

    answers: tuple[tuple[str, Said], ...]
    undecided: tuple[str, ...]


def passing(filters: Iterable[Standing], seen: Seen) -> Passing:
    """All filters in order, up to one that answers every such request."""
    answers: list[tuple[str, Said]] = []
    undecided: list[str] = []
    judged = _judge(list(filters), seen)
    for one in judged:
        said = _SAYING.get(type(one.config), _nothing)(one, seen)
        if said == UNDECIDED:
            undecided.append(one.name)
        elif isinstance(said, Said):
            answers.append((one.name, said))
            if said.share == 1:
                break
    return Passing(tuple(answers), tuple(undecided))


def _judge(filters: list[Standing], seen: Seen) -> list[Standing]:
    """Without the answer of an acl to clients that its judge, the filter before it, lets through."""
    found: list[Standing] = []
    allowed = True
    for one in filters:
        if isinstance(one.config, RbacPerRoute) and (rules := one.config.rbac) is not None and rules.shadow_matcher:
            allowed = _lets_through(rules.shadow_matcher, seen)
        elif isinstance(one.config, LuaPerRoute) and allowed:
            continue
        found.append(one)
    return found


def _lets_through(matcher: Any, seen: Seen) -> bool:
    action = chosen(matcher, seen)
    message = unpacked(action.typed_config) if action is not None and action.typed_config is not None else None
    return isinstance(message, Action) and message.action == RbacAction.ALLOW


def _nothing(one: Standing, seen: Seen) -> Saying:  # noqa: ARG001
    return None


def _health_check(one: Standing, seen: Seen) -> Saying:
    """It answers at the end of a request; an upgrade has none, and is given up when the listener's time is over."""
    config: Any = one.config
    asked = not config.pass_through_mode and all(of_header(header, seen).holds for header in config.headers)
    return Said(_GIVEN_UP if seen.is_upgrade else 200) if asked else None


def _fault(one: Standing, seen: Seen) -> Saying:
    """One of gRPC fails calls of it; others get 200 for it, as Envoy has it."""
    config: Any = one.config
    abort = config.abort
    if abort is None or config.max_active_faults == 0 or abort.percentage is None:
        return None
    part = of_million(abort.percentage)
    status = abort.http_status or 0
    if abort.grpc_status is not None:
        status = _OF_GRPC.get(abort.grpc_status, 500) if is_grpc(seen.header("content-type")) else 200
    return Said(status, Fraction(part, MILLION)) if part and status else None


def _cors(one: Standing, seen: Seen) -> Saying:
    """A preflight is answered, whether or not its origin is let in; unless such are to be handed on."""
    policies = [found for found in one.nearer if isinstance(found, CorsPolicy)]
    origin = seen.header("origin")
    is_preflight = seen.method == "OPTIONS" and origin and seen.header("access-control-request-method")
    if not policies or not is_preflight or not _is_on(policies[0].filter_enabled):
        return None
    origins = next((found.allow_origin_string_match for found in policies if found.allow_origin_string_match), [])
    allowed = any(of_text(matcher, "*").holds or of_text(matcher, origin or "").holds for matcher in origins)
    forwards = next(
        (
            found.forward_not_matching_preflights
            for found in policies
            if found.forward_not_matching_preflights is not None
        ),
        True,
    )
    return Said(200) if allowed or not forwards else None


def _is_on(enabled: Any) -> bool:
    return enabled is None or millionths(enabled) > 0


def _csrf(one: Standing, seen: Seen) -> Saying:
    config: Any = one.config
    part = millionths(config.filter_enabled) if config.filter_enabled is not None else 0
    if seen.method not in _CHANGING or not part:
        return None
    source = _origin(seen.header("origin") or "") or _origin(seen.header("referer") or "")
    if source and (
        source == _origin(seen.host) or any(of_text(own, source).holds for own in config.additional_origins)
    ):
        return None
    return Said(_DENIED, Fraction(part, MILLION))


def _origin(text: str) -> str:
    """Host and port of a URL, or the text as it is: Envoy, too, takes what it cannot read as a URL as it stands."""
    try:
        parts = urlsplit(text) if "://" in text else None
    except ValueError:
        return text
    return parts.netloc.rpartition("@")[2] if parts is not None and parts.netloc else text


def _rbac(one: Standing, seen: Seen) -> Saying:
    rules = one.config.rbac if isinstance(one.config, RbacPerRoute) else one.config
    if not isinstance(rules, Rbac):
        return None
    if rules.matcher is not None:
        try:
            return None if _lets_through(rules.matcher, seen) else Said(_DENIED)
        except Undecidable:
            return UNDECIDED
    if rules.rules is None:
        return None
    if rules.rules.policies:
        return UNDECIDED
    # No policy matches: who may come in is nobody, and whom to keep out is nobody.
    return Said(_DENIED) if rules.rules.action == RbacAction.ALLOW else None


def _denied(one: Standing, seen: Seen) -> Saying:  # noqa: ARG001
    """The answer of an acl: it stands here only where the judge before it did not let the client through."""
    config: Any = one.config
    context = config.filter_context
    fields = context.fields if context is not None else {}
    status = fields["status"].string_value if "status" in fields else None
    return Said(int(status)) if status else Said(_DENIED)


def _basic_auth(one: Standing, seen: Seen) -> Saying:
    config: Any = one.config
    users = config.users.inline_string if config.users is not None else None
    if users is None:
        return UNDECIDED
    given = seen.header(getattr(one.own, "authentication_header", "") or "authorization") or ""
    if not given.startswith("Basic "):
        return Said(_UNAUTHORIZED)
    try:
        name, colon, password = base64.b64decode(given[6:], validate=True).decode().partition(":")
    except ValueError:
        return Said(_UNAUTHORIZED)
    known = dict(line.split(":", 1) for line in users.split("\n") if ":" in line)
    # The scheme of htpasswd that Envoy knows.
    digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()  # noqa: S324
    is_known = bool(colon) and hmac.compare_digest(known.get(name, "").strip(), f"{{SHA}}{digest}")
    return None if is_known else Said(_UNAUTHORIZED)


def _api_key(one: Standing, seen: Seen) -> Saying:
    config: Any = one.config
    own: Any = one.own
    credentials = config.credentials or own.credentials
    sources = config.key_sources or own.key_sources
    key = next((found for source in sources if (found := _key(source, seen)) is not None), None)
    named = next((known.client for known in credentials if known.key == key), None) if key else None
    if named is None:
        return Said(_UNAUTHORIZED)
    allowed = getattr(config, "allowed_clients", [])
    return Said(_DENIED) if allowed and named not in allowed else None


def behind(filters: Iterable[Standing], seen: Seen) -> Seen:
    """The request as it is behind filters that let it through: without API keys in its query that are not forwarded.

    What is left of the query Envoy sorts by name.
    """
    hidden = {
        source.query
        for one in filters
        if isinstance(config := one.config, ApiKeyAuth | ApiKeyAuthPerRoute)
        and config.forwarding is not None
        and config.forwarding.hide_credentials
        for source in config.key_sources
    }
    if hidden.isdisjoint(seen.query):
        return seen
    path, _, query = seen.headers[":path"].partition("?")
    left = sorted((one for one in query.split("&") if _name(one) not in hidden), key=_name)
    return replace(seen, headers=seen.headers | {":path": f"{path}?{'&'.join(left)}" if left else path})


def _name(pair: str) -> str:
    return pair.partition("=")[0]


def _key(source: Any, seen: Seen) -> str | None:
    if source.header:
        found = seen.header(source.header)
        return found if found is None else found.removeprefix("Bearer ")
    if source.query:
        return seen.query.get(source.query)
    if source.cookie:
        pairs = [one.strip().partition("=") for one in (seen.header("cookie") or "").split(";")]
        return next((value for name, _, value in pairs if name == source.cookie), None)
    return None


def _may(one: Standing, seen: Seen) -> Saying:  # noqa: ARG001
    return UNDECIDED


def _buffer(one: Standing, seen: Seen) -> Saying:
    """It waits for the end of a request, which an upgrade has not: it is given up when the listener's time is over."""
    if getattr(one.config, "disabled", False):
        return None
    return Said(_GIVEN_UP) if seen.is_upgrade else UNDECIDED


def _chain(one: Standing, seen: Seen) -> Saying:  # noqa: ARG001
    """A chain of what a GatewayExtension brings: other processes decide."""
    config: Any = one.config
    inside = config.filter_chain.filters if config.filter_chain is not None else []
    types = {filter_.typed_config.type_url.rpartition("/")[2] for filter_ in inside if filter_.typed_config is not None}
    return UNDECIDED if types - {_INERT} else None


def _limit(one: Standing, seen: Seen) -> Saying:  # noqa: ARG001
    config: Any = one.config
    return UNDECIDED if config.token_bucket is not None else None


_SAYING: Final[dict[type[Message | None], Callable[[Standing, Seen], Saying]]] = {
    HealthCheck: _health_check,
    HttpFault: _fault,
    CorsPolicy: _cors,
    CsrfPolicy: _csrf,
    Rbac: _rbac,
    RbacPerRoute: _rbac,
    LuaPerRoute: _denied,
    BasicAuth: _basic_auth,
    BasicAuthPerRoute: _basic_auth,
    ApiKeyAuth: _api_key,
    ApiKeyAuthPerRoute: _api_key,
    FilterChainConfigPerRoute: _chain,
    LocalRateLimit: _limit,
    Buffer: _buffer,
    BufferPerRoute: _buffer,
}
