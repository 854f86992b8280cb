"""What proves a Gateway to the publisher is replaced in time, and nothing is deployed anew for that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.seal import KEY_BYTES
from streams.sinks.kubernetes.manifests import manifests
from streams.sinks.kubernetes.proxy import Publisher, Template
from streams.xds.authority import PERIOD, SERVER_NAME, Authority
from tests.sinks.kubernetes.case import UID, proxy
from tests.sinks.kubernetes.test_deployer import ALL, OPTIONS, Site, idle, row, until


async def test_a_certificate_is_renewed_by_itself() -> None:
    """With the next look at what is there; the certificate alone, and once."""
    site, number = Site(), 1
    template = replace(OPTIONS.template, identity=lambda _: {"tls.crt": str(number).encode()})
    await site.gateway()
    await site.wants(row())
    async with site.deploying(replace(OPTIONS, template=template)) as deployer:
        await until(lambda: site.found() == ALL)
        await idle(deployer)
        site.objects.calls.clear()
        number = 2
        await site.objects.drop()
        await until(lambda: site.objects.calls)
        await site.objects.drop()
        await idle(deployer)
    assert site.objects.calls == ["apply Secret default/gw-xds"]


def test_renewed_certificates_replace_no_pods() -> None:
    """Nor does another replica, or a restart: all that it makes is the same."""

    def made(at: datetime) -> dict[str, Any]:
        authority = Authority(bytes(KEY_BYTES), lambda: at)
        publisher = Publisher("penstock.example.com", 9977, authority.certificate.decode(), SERVER_NAME)
        template = Template(publisher, lambda gateway: dict(zip(("tls.crt", "tls.key"), authority.proxy(gateway), strict=True)))
        return {one["kind"]: one for one in manifests(proxy("simple"), template, UID)}

    at = datetime(2026, 1, 1, tzinfo=UTC)
    first, restarted, renewed = (made(at + ago) for ago in (timedelta(), timedelta(hours=5), PERIOD))
    assert first == restarted
    assert {kind for kind in first if first[kind] != renewed[kind]} == {"Secret"}
