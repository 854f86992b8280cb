"""Users sign in with an issuer of which a manifest says its URI alone: it may be late, wrong, and away; the whole penstock runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.e2e.site import Site
from tests.e2e.test_sign_in import Browser
from tests.support.issuer import LATER
from tests.support.provider import NAME, providing
from tests.support.running import START_SECONDS, free_port, until
from tests.support.well_known import WellKnown, certified, well_known

pytestmark = pytest.mark.envoy
_SECRET: Final = "top-secret-of-the-shop"
_ENDPOINTS: Final = {"authorization_endpoint": f"{NAME}/authorize", "token_endpoint": f"{NAME}/token"}


def _manifests(name: str, issuer: str, provider: int, path: str) -> str:
    """A route of its own, with who signs users in there."""
    api, kgateway = "gateway.networking.k8s.io", "gateway.kgateway.dev"
    to = {"group": kgateway, "kind": "Backend", "name": f"login-{name}"}
    oauth2: dict[str, Any] = {"issuerURI": issuer, "backendRef": to, "credentials": {"clientID": "shop", "clientSecretRef": {"name": "client"}}}
    oauth2 |= {"redirectURI": f"http://shop.example.com{path}/back"}
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [{"name": "be", "port": 80}]}
    target = {"group": api, "kind": "HTTPRoute", "name": name}
    objects: list[tuple[str, str, str, dict[str, Any]]] = [
        (f"{kgateway}/v1alpha1", "Backend", to["name"], {"type": "Static", "static": {"hosts": [{"host": "127.0.0.1", "port": provider}]}}),
        (f"{kgateway}/v1alpha1", "GatewayExtension", name, {"oauth2": oauth2}),
        (f"{kgateway}/v1alpha1", "TrafficPolicy", name, {"targetRefs": [target], "oauth2": {"extensionRef": {"name": name}}}),
        (f"{api}/v1", "HTTPRoute", name, {"parentRefs": [{"name": "gw"}], "rules": [rule]}),
    ]
    return "---\n".join(
        json.dumps({"apiVersion": version, "kind": kind, "metadata": {"name": called}, "spec": spec}) + "\n"
        for version, kind, called, spec in objects
    )


def _says(site: Site, name: str) -> str:
    """The extension's condition."""
    (one,) = site.tells("get", "gatewayextension", name)["status"]["conditions"]
    return f"{one['status']} {one['reason']} {one['message']}"


def _last(site: Site, name: str) -> str:
    """What the log was told last of an object."""
    changes = [change for one in site.tells("log", "--limit", "1000") for change in one["changes"]]
    return next((str(one["verb"]) for one in reversed(changes) if str(one.get("ref")).endswith(f"/{name}")), "")


async def _is(question: Callable[[], bool], told: Callable[[], str] = str) -> None:
    await asyncio.to_thread(until, question, START_SECONDS, told)


async def test_users_sign_in_with_what_the_issuer_says(site: Site) -> None:
    port, login = free_port(), free_port()
    trusted, tls = certified(site.root, "127.0.0.1")
    issuer = f"https://127.0.0.1:{port}"
    site.populate()
    site.write("client.json", json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "client"}, "stringData": {"client-secret": _SECRET}}))
    site.write("shop.yaml", _manifests("shop", issuer, login, "/shop"))
    site.start(env={"SSL_CERT_FILE": str(trusted)})
    # The issuer is not there yet: nobody gets in, and it is told why; what asks for no sign-in is served.
    await asyncio.to_thread(site.serves, "one")
    await _is(lambda: "it cannot be reached over HTTPS" in _says(site, "shop"))
    assert (await asyncio.to_thread(_says, site, "shop")).startswith("False Invalid")
    assert await asyncio.to_thread(site.ask, "/shop") == (500, "")
    claims = {"iss": issuer, "aud": "shop", "sub": "ann", "exp": LATER}
    async with providing("127.0.0.1", login, _SECRET, **claims) as provider:
        async with well_known("127.0.0.1", port, tls) as server:
            server.says(**_ENDPOINTS)
            await _is(lambda: site.ask("/shop")[0] == 302)
            assert (await Browser("127.0.0.1", site.port).sign_in(provider, "/shop/a")).status == 200
            await _odd_ones_harm_nobody(site, server, login)
        # It is away again: what it said is what counts.
        site.write("client.json", json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "client", "labels": {"a": "b"}}, "stringData": {"client-secret": _SECRET}}))
        await asyncio.to_thread(site.write, "route.yaml", (site.manifests / "route.yaml").read_text().replace('"one"', '"two"'))
        await asyncio.to_thread(site.serves, "two")
        assert (await Browser("127.0.0.1", site.port).sign_in(provider, "/shop/b")).status == 200
    # The log says it all: who folds it anew asks nobody.
    digests = [await asyncio.to_thread(site.tells, "replay", *more) for more in ((), ("--live",))]
    assert digests[0]["digest"] == digests[1]["digest"]
    (site.manifests / "shop.yaml").unlink()
    await _is(lambda: _last(site, quote(issuer, safe="")) == "delete")
    await asyncio.to_thread(site.ends)


async def _odd_ones_harm_nobody(site: Site, server: WellKnown, login: int) -> None:
    server.says("/wrong", issuer="https://other.example.com", **_ENDPOINTS)
    server.answers["/page"] = b"<html>"
    server.answers["/huge"] = b" " * 100_000
    told = {"wrong": "its issuer is another one", "page": "no JSON object", "huge": "larger than 64 KiB"}
    for name in told:
        site.write(f"{name}.yaml", _manifests(name, f"{server.uri}/{name}", login, f"/{name}"))
    for name, words in told.items():
        await _is(lambda name=name, words=words: words in _says(site, name))  # type: ignore[misc]
        assert await asyncio.to_thread(site.ask, f"/{name}") == (500, "")
    assert (await asyncio.to_thread(site.ask, "/shop"))[0] == 302
    assert await asyncio.to_thread(site.ask, "/") == (200, "one")
