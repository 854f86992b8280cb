"""basicAuth: a user's name and password are asked for (RFC 7617), and checked by the proxy."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.filters.http.basic_auth.v3 import BasicAuth as BasicAuthMessage
from envoy_data_plane.envoy.extensions.filters.http.basic_auth.v3 import BasicAuthPerRoute

from engine.envoy.effect import Effect, of_filter, switched
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Filter, Stage, Use, When, is_off
from engine.resolve.manifest import mapping, texts
from engine.resolve.secret_key import named_secret, secret_value
from engine.resolve.values import Problem

NAME: Final = "envoy.filters.http.basic_auth"
_TYPE: Final = "envoy.extensions.filters.http.basic_auth.v3"


_USER: Final = re.compile(r"[^:\s]+:\{SHA\}[A-Za-z0-9+/]{27}=")
"""As `htpasswd -s` writes it: Envoy takes no other hash."""


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:
    """BasicAuthPerRoute, sealed: hashes of passwords are none of anybody's business."""
    if is_off(value):
        return switched(NAME, off=True)
    reference = mapping(value.get("secretRef"))
    lines = _lines(graph, use, value, reference)
    if isinstance(lines, Problem):
        return lines
    for number, line in enumerate(lines, 1):
        if _USER.fullmatch(line) is None:
            return Problem("Invalid", f"line {number} is no user: write it as `htpasswd -s` does, name:{{SHA}}hash")
    names = [line.partition(":")[0] for line in lines]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not lines:
        return Problem(
            "Invalid", f"user {twice[0]} is there twice: remove one" if twice else "there is no user: add one"
        )
    users = construct(DataSource, inline_string="\n".join(lines))
    found = of_filter(NAME, f"{_TYPE}.BasicAuthPerRoute", construct(BasicAuthPerRoute, users=users), sealed=True)
    return replace(found, sources=(named_secret(use.policy, reference),) if reference else ())


def _lines(graph: Reader, use: Use, value: Json, reference: Json) -> list[str] | Problem:
    if not reference:
        return list(texts(value.get("users")))
    found = secret_value(graph, use.gateway, use.policy, reference, ".htpasswd")
    if isinstance(found, Problem):
        return found
    lines = (line.strip() for line in found.decode(errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


FEATURE = Feature(
    "basicAuth",
    effect,
    # It stands there with one who cannot be, so that nobody would come in without a policy's own users.
    (
        Filter(
            NAME,
            f"{_TYPE}.BasicAuth",
            construct(
                BasicAuthMessage, users=construct(DataSource, inline_string="-:{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            ),
            Stage.AUTHN,
            When.DURING,
        ),
    ),
    guards=True,
)
