"""Backends of every type, for histories: static ones, functions, and groups of the others."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engine.events import Put
from tests.support.manifests import put

KGATEWAY = "gateway.kgateway.dev"
_STATIC = ("127.0.0.1", "a.example.com")
_AUTH = (
    {},
    {"auth": {"type": "Secret", "secretRef": {"name": "cert"}}},
    {"auth": {"type": "Secret", "secretRef": {"name": "keys"}}},
    {"auth": {"type": "AssumeRole", "assumeRole": {"roleArn": "arn:aws:iam::000000000000:role/r"}}},
)


@st.composite
def _specs(draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(["static", "static", "lambda", "groups", "ec2", "gcp"]))
    if kind == "static":
        hosts = [{"host": draw(st.sampled_from(_STATIC)), "port": 80}]
        return {"static": {"hosts": hosts, **draw(st.sampled_from([{}, {"appProtocol": "http2"}]))}}
    if kind == "groups":
        names = draw(st.lists(st.integers(0, 2), min_size=1, max_size=2))
        return {"priorityGroups": [{"backendRefs": [{"name": f"b{one}"}]} for one in names]}
    if kind == "gcp":
        return {"gcp": {"host": "a.run.app"}}
    what = {"lambda": {"functionName": "f"}} if kind == "lambda" else {"ec2": {}}
    return {"aws": {"accountId": "000000000000", **what, **draw(st.sampled_from(_AUTH))}}


@st.composite
def backends(draw: Any, number: int, generation: int) -> Put:
    """One of three names."""
    return put(KGATEWAY, "v1alpha1", "Backend", f"b{number}", {"spec": draw(_specs())}, generation)


def keys(seal: Any, generation: int) -> Put:
    """The Secret with an AWS key."""
    data = {"accessKey": seal(b"a"), "secretKey": seal(str(generation).encode())}
    return put("", "v1", "Secret", "keys", {"type": "Opaque", "data": data}, generation)
