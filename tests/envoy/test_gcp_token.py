"""A Backend of Google Cloud gets the proxy's identity token, by the real Envoy; a metadata server of ours gives it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import replace
from typing import Any

from envoy_data_plane.envoy.config.cluster.v3 import Cluster

from engine.engine import Engine
from engine.envoy.address import address
from engine.envoy.wire import encode
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKind
from tests.support.backend import backends
from tests.support.client import Ask, ask
from tests.support.manifests import change_set, endpoints, gateway, put, route, service
from tests.support.proxy import proxies

_ADDRESS, _SERVICE, _METADATA = "127.5.1.253", ("127.5.1.2", 9000), ("127.5.1.3", 9001)
_HOST = "shop.run.app"


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _token() -> str:
    claims = {"aud": f"https://{_HOST}", "exp": int(time.time()) + 3600, "iat": 1, "iss": "a", "sub": "b"}
    return ".".join([_part({"alg": "RS256", "kid": "a"}), _part(claims), "c2ln"])


def _moved(fragment: Fragment) -> Fragment:
    """The clusters of the cloud, here: Envoy resolves no name, and nobody has the certificate."""
    place = {"backend_default_f_0": _SERVICE, "gcp_authn": _METADATA}.get(fragment.key.name)
    if fragment.key.kind is not FragmentKind.CLUSTER or place is None:
        return fragment
    cluster = Cluster.parse(fragment.payload)
    assert cluster.load_assignment is not None
    end = cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint
    assert end is not None
    end.address, cluster.transport_socket = address(*place), None
    return replace(fragment, payload=encode(cluster))


async def test_a_request_has_the_token_of_its_audience_and_the_host_of_its_service() -> None:
    """One token is asked for, however many requests there are; of other Backends none."""
    sealer, token, asked = Sealer(bytes(KEY_BYTES)), _token(), []

    async def metadata(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            asked.append(head.split(b" ")[1].decode())
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(token)}\r\n\r\n{token}".encode())

    spec = {"spec": {"gcp": {"host": _HOST}}}
    backend = put("gateway.kgateway.dev", "v1alpha1", "Backend", "f", spec)
    rules = [{"backendRefs": [{"group": "gateway.kgateway.dev", "kind": "Backend", "name": "f"}]}]
    engine = Engine(sealer)
    others = (service(), endpoints("s", _SERVICE[0]), route("other", path="/other"))
    engine.apply(change_set(gateway(), backend, route("r", rules=rules), *others), 0)
    fragments = {name: _moved(one) for name, one in engine.everything().fragments.set.items()}
    server = await asyncio.start_server(metadata, *_METADATA)
    async with server, backends({_SERVICE: "1"}), proxies(fragments, sealer, _ADDRESS):
        for _ in range(3):
            headers = dict(json.loads((await ask(_ADDRESS, 8080, Ask("example.com"))).body)["headers"])
            assert headers["authorization"] == f"Bearer {token}"
            assert headers["host"] == _HOST
        other = json.loads((await ask(_ADDRESS, 8080, Ask("example.com", "/other"))).body)["headers"]
        assert "authorization" not in dict(other)
    assert asked == [f"/computeMetadata/v1/instance/service-accounts/default/identity?audience=https://{_HOST}"]
