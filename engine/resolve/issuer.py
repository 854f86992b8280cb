"""What an OpenID Connect issuer says of itself, as a source found it out; it asks nobody, and believes little."""

from __future__ import annotations

import re
from typing import Final

from engine.graph.reader import Json, Reader
from engine.models.extension.oauth2 import HTTPS_URI
from engine.models.tokens import url_problem
from engine.observed import configuration_ref
from engine.ref import Ref
from engine.resolve.manifest import held_fact, mapping, served_object, spec_of, texts
from engine.resolve.values import PENDING, Problem

_ENDPOINTS: Final = ("authorizationEndpoint", "tokenEndpoint")
_URI: Final = re.compile(HTTPS_URI)


def completed(graph: Reader, gateway: Ref, extension: Ref, block: Json) -> tuple[Json, tuple[Ref, ...]] | Problem:
    """An `oauth2` block with the endpoints that its issuer names where it has none itself, and what that was read of.

    The issuer is asked only for what sign-in cannot do without: what is written goes before what it says.
    """
    missing = [name for name in _ENDPOINTS if not block.get(name)]
    jwt = mapping(block.get("jwt"))
    lacks_keys = not jwt.get("jwksURI") and any(jwt.get(one) is not None for one in ("accessToken", "idToken"))
    if not missing and not lacks_keys:
        return block, ()
    issuer = str(block.get("issuerURI"))
    ref = configuration_ref(extension.cluster, issuer)
    found = _said(graph, gateway, ref, issuer)
    if isinstance(found, Problem):
        return found
    wanted = [*missing, *(["jwksURI"] if lacks_keys else [])]
    for name in wanted:
        if (why := _wrong(found.get(name))) is not None:
            return Problem("Invalid", f"issuer {issuer} {why} for {name}: write it here")
    given = {name: found[name] for name in missing}
    end = found.get("endSessionEndpoint")
    if not block.get("endSessionEndpoint") and "openid" in texts(block.get("scopes")) and _wrong(end) is None:
        given["endSessionEndpoint"] = end
    if lacks_keys:
        given["jwt"] = {**jwt, "jwksURI": found["jwksURI"]}
    return {**block, **given}, (ref,)


def _said(graph: Reader, gateway: Ref, ref: Ref, issuer: str) -> Json | Problem:
    resource = graph.read(ref)
    if resource is None:
        return Problem(PENDING, f"issuer {issuer} is to be asked for its endpoints")
    if graph.fact(held_fact(gateway, ref)) and resource.previous is None:
        return Problem("Quarantined", f"a proxy rejected what issuer {issuer} says, and it said nothing else before")
    spec = spec_of(served_object(graph, gateway, ref))
    if spec.get("error"):
        return Problem("Invalid", f"issuer {issuer} is awaited: {spec['error']}")
    return spec


def _wrong(uri: object) -> str | None:
    if not uri:
        return "says nothing"
    if not isinstance(uri, str) or _URI.fullmatch(uri) is None or url_problem(uri) is not None:
        return f"says {str(uri)[:128]!r}, which is no https URL,"
    return None
