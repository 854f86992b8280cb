"""What hypothesis draws of HTTPRoutes that delegate to one another."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engine.events import Put
from tests.property.ages import AGES
from tests.property.answers import policies
from tests.support.manifests import API, put

_HTTP_ROUTE = {"group": API, "kind": "HTTPRoute"}
BELOW: tuple[dict[str, Any], ...] = (
    *({**_HTTP_ROUTE, "name": name, "namespace": at} for name in ("r0", "r1", "r2") for at in ("default", "other")),
    *({**_HTTP_ROUTE, "name": "*", "namespace": at} for at in ("default", "other")),
    *({"group": "delegation.kgateway.dev", "kind": "label", "name": "x", "namespace": at} for at in ("other", "all")),
)
_ABOVE = (
    *({}, {}, {}, {}),
    *({"parentRefs": [one]} for one in ({"name": "gw", "namespace": "default"}, {"name": "gw1", "namespace": "default"})),
    {"parentRefs": [{**_HTTP_ROUTE, "name": "r0", "namespace": "default"}]},
    {"parentRefs": [{"name": "gw"}, {**_HTTP_ROUTE, "name": "r1", "namespace": "default"}]},
)


def namespaced(base: Put, namespace: str) -> Put:
    """The same object in another namespace."""
    metadata = {**base.object["metadata"], "namespace": namespace}
    return Put(base.ref._replace(namespace=namespace), {**base.object, "metadata": metadata})


@st.composite
def delegating(draw: Any, number: int, generation: int) -> Put:
    """An HTTPRoute that delegates, or may be delegated to, or both."""
    service_ref = {"name": f"s{draw(st.integers(0, 2))}", "port": 80}
    rules = []
    for _ in range(draw(st.integers(1, 2))):
        kinds = draw(st.lists(st.sampled_from(["PathPrefix"] * 5 + ["Exact"]), min_size=1, max_size=2))
        paths = [{"type": kind, "value": draw(st.sampled_from(["/", "/a", "/a/b", "/ab"]))} for kind in kinds]
        refs = draw(st.lists(st.sampled_from([*BELOW, service_ref, service_ref]), min_size=1, max_size=2))
        timeouts = draw(st.sampled_from([{}, {"timeouts": {"request": "1s"}}]))
        answers = {"group": "gateway.kgateway.dev", "kind": "DirectResponse", "name": f"d{draw(st.integers(0, 2))}"}
        filters = [{"type": "ExtensionRef", "extensionRef": answers}]
        guarded = {"backendRefs": refs, "filters": draw(policies())}
        does = draw(st.sampled_from([*[{"backendRefs": refs}] * 5, guarded, {"filters": filters}]))
        rules.append({"matches": [{"path": one} for one in paths], **does, **timeouts})
    hosts = draw(st.sampled_from([*[{}] * 8, {"hostnames": ["a.example.com"]}]))
    notes = draw(st.sampled_from([{}, {"delegation.kgateway.dev/inherit-parent-matcher": "true"}]))
    labels = draw(st.sampled_from([{}, {"delegation.kgateway.dev/label": "x"}]))
    metadata = {"creationTimestamp": draw(st.sampled_from(AGES)), "annotations": notes, "labels": labels}
    spec = {**draw(st.sampled_from(_ABOVE)), **hosts, "rules": rules}
    made = put(API, "v1", "HTTPRoute", f"r{number}", {"metadata": metadata, "spec": spec}, generation)
    return namespaced(made, draw(st.sampled_from(["default", "other"])))
