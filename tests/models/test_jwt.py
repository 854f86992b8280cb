"""What is taken and refused of GatewayExtension's jwt, and of what names one."""

from __future__ import annotations

from typing import Any, Final

import pytest

from engine.models.admission import Admitted, admit
from tests.models.manifests import KGATEWAY, Json, changed, target

_PROVIDER: Final[Json] = {
    "name": "one",
    "issuer": "https://issuer.example.com",
    "audiences": ["shop"],
    "tokenSource": {"header": {"header": "x-token", "prefix": "Token "}},
    "claimsToHeaders": [{"name": "sub", "header": "x-user"}],
    "jwks": {
        "remote": {
            "url": "https://issuer.example.com/keys?of=all",
            "backendRef": {"name": "issuer", "port": 443},
            "cacheDuration": "1h30m",
            "asyncFetch": {"fastListener": True, "failedRefetchDuration": "500ms"},
            "retryPolicy": {"numRetries": 3, "backOff": {"baseInterval": "100ms", "maxInterval": "1s"}},
        }
    },
    "forwardToken": True,
}
_WHOLE: Final[Json] = {
    "apiVersion": f"{KGATEWAY}/v1alpha1",
    "kind": "GatewayExtension",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"type": "JWT", "jwt": {"validationMode": "AllowMissing", "providers": [_PROVIDER]}},
}
_POLICY: Final[Json] = {
    "apiVersion": f"{KGATEWAY}/v1alpha1",
    "kind": "TrafficPolicy",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"jwtAuth": {"extensionRef": {"name": "a", "namespace": "b"}}},
}
_ONE = "spec.jwt.providers[0]"
_REMOTE = f"{_ONE}.jwks.remote"
_DURATION = 'is no duration: write it as "1h30m", "10s" or "500ms" (GEP-2257)'
_CHARACTERS = "use letters, digits and any of !#$%&'*+-.^_`|~"


def _problems(manifest: Json) -> list[str]:
    judged = admit(target(manifest), manifest)
    return [] if isinstance(judged, Admitted) else [str(one) for one in judged.problems]


@pytest.mark.parametrize("manifest", [_WHOLE, _POLICY], ids=lambda one: one["kind"])
def test_whole_manifests_are_taken(manifest: Json) -> None:
    assert _problems(manifest) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.type", ...),
        ("spec.jwt", {}),
        ("spec.jwt.validationMode", "Strict"),
        (f"{_ONE}.issuer", ...),
        (f"{_ONE}.tokenSource", {"queryParameter": "token"}),
        (f"{_ONE}.jwks", {"local": {"configMapRef": {"name": "keys"}}}),
        (f"{_REMOTE}.url", "http://10.0.0.1:8080/"),
        (f"{_REMOTE}.retryPolicy.backOff.maxInterval", ...),
    ],
)
def test_taken(path: str, value: Any) -> None:
    assert _problems(changed(_WHOLE, path, value)) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("spec.jwt", ..., "exactly one of the fields in [extAuth extProc jwt oauth2 rateLimit] must be set"),
        ("spec.type", "ExtAuth", "extAuth must be set when type is ExtAuth"),
        ("spec.jwt.validationMode", "Sometimes", "is not one of 'Strict' or 'AllowMissing'"),
        ("spec.jwt.providers", [_PROVIDER] * 2, "'one' is there already: remove one of them"),
        ("spec.jwt.providers", [{**_PROVIDER, "name": f"{n}"} for n in range(33)], "at most 32"),
        (f"{_ONE}.name", "", "must have at least 1 characters"),
        (f"{_ONE}.issuer", "i" * 2049, "is too long: at most 2048 characters"),
        (f"{_ONE}.audiences", [], "at least 1"),
        (f"{_ONE}.audiences", ["a"] * 33, "at most 32"),
        (f"{_ONE}.tokenSource", {}, "exactly one of the fields in [header queryParameter] must be set"),
        (f"{_ONE}.tokenSource.queryParameter", "b", "exactly one of the fields in [header queryParameter] must be set"),
        (f"{_ONE}.tokenSource", {"queryParameter": ""}, "is empty: name one"),
        (f"{_ONE}.tokenSource.header.header", "x y", f"'x y' is no header name: {_CHARACTERS}"),
        (f"{_ONE}.tokenSource.header.prefix", "a\nb", "has characters that no header has"),
        (f"{_ONE}.claimsToHeaders", [], "at least 1"),
        (f"{_ONE}.claimsToHeaders[0].name", "", "must have at least 1 characters"),
        (f"{_ONE}.claimsToHeaders[0].header", ":path", f"':path' is no header name: {_CHARACTERS}"),
        (f"{_ONE}.claimsToHeaders[0].header", "Host", "Host belongs to Envoy: name another"),
        (f"{_ONE}.claimsToHeaders[0].header", "content-length", "content-length belongs to Envoy: name another"),
        (f"{_ONE}.jwks", ..., "must be given"),
        (f"{_ONE}.jwks", {}, "exactly one of the fields in [local remote] must be set"),
        (f"{_ONE}.jwks", {"local": {}}, "exactly one of the fields in [inline configMapRef] must be set"),
        (f"{_ONE}.jwks", {"local": {"inline": ""}}, "must have at least 1 characters"),
        (f"{_ONE}.jwks", {"local": {"inline": " " * 16385}}, "is too long: at most 16384 characters"),
        (f"{_ONE}.jwks", {"local": {"inline": "{}"}}, "has no keys: give it a list of one at least, as keys"),
        (f"{_ONE}.jwks", {"local": {"configMapRef": {}}}, "must be given"),
        (f"{_REMOTE}.url", "issuer.example.com/keys", "is no URL of a key set: write it as https://example.com/keys"),
        (f"{_REMOTE}.url", "https://", "is no URL of a key set"),
        (f"{_REMOTE}.url", "https://a:b@c/", "is no URL of a key set"),
        (f"{_REMOTE}.url", "https://a:99999/", "is no URL of a key set"),
        (f"{_REMOTE}.url", "https://a/b c", "is no URL of a key set"),
        (f"{_REMOTE}.backendRef", ..., "must be given"),
        (f"{_REMOTE}.backendRef.port", ..., "Must have port for Service reference"),
        (f"{_REMOTE}.cacheDuration", "soon", _DURATION),
        (f"{_REMOTE}.cacheDuration", "0s", "must be at least 1ms"),
        (f"{_REMOTE}.asyncFetch.failedRefetchDuration", "1", _DURATION),
        (f"{_REMOTE}.retryPolicy.numRetries", -1, "is too small: at least 0"),
        (f"{_REMOTE}.retryPolicy.backOff.baseInterval", ..., "must be given"),
        (f"{_REMOTE}.retryPolicy.backOff.maxInterval", "50ms", "maxInterval must be greater than or equal to baseInterval"),
    ],
)  # fmt: skip
def test_refused(path: str, value: Any, problem: str) -> None:
    found = _problems(changed(_WHOLE, path, value))
    assert any(problem in one for one in found), found


@pytest.mark.parametrize(("value"), [{}, {"extensionRef": {"name": "a"}, "disable": {}}])
def test_a_policy_names_an_extension_or_none(value: Json) -> None:
    found = _problems(changed(_POLICY, "spec.jwtAuth", value))
    assert found == ["spec.jwtAuth: exactly one of the fields in [extensionRef disable] must be set"]
