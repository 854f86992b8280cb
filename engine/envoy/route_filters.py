"""What HTTP filters do on one route: CORS and session persistence as typed_per_filter_config."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import CorsPolicy
from envoy_data_plane.envoy.extensions.filters.http.stateful_session.v3 import StatefulSession, StatefulSessionPerRoute
from envoy_data_plane.envoy.extensions.http.stateful_session.cookie.v3 import CookieBasedSessionState
from envoy_data_plane.envoy.extensions.http.stateful_session.header.v3 import HeaderBasedSessionState
from envoy_data_plane.envoy.type.http.v3 import Cookie
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from engine.envoy.listener import CORS, STATEFUL_SESSION
from engine.envoy.natures import switched_on
from engine.envoy.typed import extension, packed
from engine.envoy.wire import construct
from engine.resolve.values import Cors, Rule, Session

_STATE = "envoy.extensions.http.stateful_session"


def per_filter_config(rule: Rule) -> dict[str, Any]:
    """The filters' configs of one rule, by filter name."""
    configs: dict[str, Any] = {}
    if rule.cors is not None:
        configs[CORS] = packed("envoy.extensions.filters.http.cors.v3.CorsPolicy", _cors(rule.cors))
    if rule.session is not None:
        configs[STATEFUL_SESSION] = packed(
            "envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute", _session(rule.session)
        )
    return configs | switched_on(sorted({one.filtered for one in rule.destinations if one.filtered}))


def _cors(cors: Cors) -> CorsPolicy:
    # With credentials "*" means nothing there to a browser, and has to be left out (HTTPCORSFilter.exposeHeaders).
    expose = [one for one in cors.expose if one != "*" or not cors.credentials]
    return construct(
        CorsPolicy,
        allow_origin_string_match=[_origin(origin) for origin in cors.origins],
        allow_methods=", ".join(cors.methods),
        allow_headers=", ".join(cors.headers),
        expose_headers=", ".join(expose),
        max_age=str(cors.max_age),
        allow_credentials=cors.credentials,
        forward_not_matching_preflights=False,
    )


def _origin(origin: str) -> StringMatcher:
    # Clients write origins in lower case (RFC 6454 section 4), whatever the manifest has.
    origin = origin.lower()
    if "*" not in origin:
        return construct(StringMatcher, exact=origin)
    pattern = ".*".join(re.escape(part) for part in origin.split("*"))
    return construct(StringMatcher, safe_regex=construct(RegexMatcher, regex=pattern))


def _session(session: Session) -> StatefulSessionPerRoute:
    if session.kind == "Header":
        header = construct(HeaderBasedSessionState, name=session.name)
        state = extension("envoy.http.stateful_session.header", f"{_STATE}.header.v3.HeaderBasedSessionState", header)
    else:
        ttl = timedelta(seconds=session.lifetime) if session.lifetime else None
        cookie = construct(
            CookieBasedSessionState, cookie=construct(Cookie, name=session.name, path=session.path, ttl=ttl)
        )
        state = extension("envoy.http.stateful_session.cookie", f"{_STATE}.cookie.v3.CookieBasedSessionState", cookie)
    return construct(StatefulSessionPerRoute, stateful_session=construct(StatefulSession, session_state=state))
