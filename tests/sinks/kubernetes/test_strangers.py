"""What stands there under the name of a Gateway and is somebody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from streams.sinks.kubernetes.objects import WATCHED, Target
from streams.topics import DEPLOYER, Topic, split_key
from tests.sinks.kubernetes.test_deployer import ALL, Site, idle, row, site, until  # noqa: F401  a fixture

_CONFIG = next(one for one in WATCHED if one.name == "ConfigMap")
THEIRS = {
    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gw", "namespace": "default"}, "data": {"theirs": "1"}
}  # fmt: skip


async def reported(site: Site) -> list[tuple[str, str]]:  # noqa: F811
    """Event and words of what a deployer has reported of a Gateway, in order."""
    found = [one async for batch in site.log.read(Topic.REPORTS, 0) for one in batch]
    assert {split_key(one.key or b"")[1] for one in found} <= {f"{row()['gateway']}/{DEPLOYER}"}
    values: list[dict[str, Any]] = [orjson.loads(one.value or b"null") for one in found]
    return [(one["event"], one["error"]) for one in values]


async def until_reported(site: Site, *events: str) -> list[str]:  # noqa: F811
    """The words of these events, once they are the ones that were reported."""
    async with asyncio.timeout(20):
        while [event for event, _ in await reported(site)] != list(events):
            await asyncio.sleep(0.01)
    return [words for _, words in await reported(site)]


async def test_who_has_a_gateways_name_already_is_told_of(site: Site) -> None:  # noqa: F811
    await site.gateway()
    await site.objects.put(THEIRS)
    await site.wants(row())
    async with site.deploying() as deployer:
        (words,) = await until_reported(site, "undeployed")
        assert words.startswith("ConfigMap default/gw: it is somebody else's")
        await site.objects.delete(Target(_CONFIG, "default", "gw"))
        await until_reported(site, "undeployed", "deployed")
        await idle(deployer)
        assert site.found() == ALL
    async with site.deploying() as deployer:
        # What another process has reported last is not known, so it is said once more; and nothing more than that.
        await until_reported(site, "undeployed", "deployed", "deployed")
        await site.objects.drop()
        await idle(deployer)
    assert len(await reported(site)) == 3


async def test_what_is_rejected_for_a_moment_is_not_told(site: Site) -> None:  # noqa: F811
    """A webhook that is away, another's change in between: the next try does it."""
    await site.gateway()
    await site.wants(row())
    target = Target(_CONFIG, "default", "gw")
    site.objects.refused[target] = "webhook"
    async with site.deploying() as deployer:
        await until(lambda: deployer.paces.get(("default", "gw")) and deployer.paces["default", "gw"].failed)
        del site.objects.refused[target]
        await until_reported(site, "deployed")


async def test_of_a_gateway_that_is_gone_no_trouble_is_left(site: Site) -> None:  # noqa: F811
    """Else the next one of its name would begin with it."""
    await site.gateway()
    await site.objects.put(THEIRS)
    await site.wants(row())
    async with site.deploying():
        await until_reported(site, "undeployed")
        await site.wants(gone=(row(),))
        await until_reported(site, "undeployed", "deployed")


async def test_reports_wait_for_a_log_that_is_away(site: Site) -> None:  # noqa: F811
    await site.gateway()
    await site.objects.put(THEIRS)
    await site.wants(row())
    async with site.deploying() as deployer:
        await until(lambda: deployer.is_told)
        site.log.down = True
        await until(lambda: deployer.outcomes.waiting)
        site.log.down = False
        await until_reported(site, "undeployed")


async def test_somebody_elses_object_is_left_alone(site: Site) -> None:  # noqa: F811
    """And the others are deployed all the same."""
    await site.gateway()
    await site.objects.put(THEIRS)
    await site.wants(row())
    async with site.deploying() as deployer:
        await until(lambda: site.found() == ALL)
        assert site.one("ConfigMap default/gw")["data"] == {"theirs": "1"}
        await site.wants(gone=(row(),))
        await until(lambda: site.found() == ["ConfigMap default/gw"])
        await idle(deployer)
    assert site.one("ConfigMap default/gw")["data"] == {"theirs": "1"}


async def test_a_certificate_may_have_its_gateways_name(site: Site) -> None:  # noqa: F811
    """Many do; the proxies would show it to the publisher."""
    await site.gateway()
    theirs = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gw", "namespace": "default"},
        "type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""},
    }  # fmt: skip
    await site.objects.put(theirs)
    await site.wants(row())
    async with site.deploying() as deployer:
        await until(lambda: site.found() == sorted([*ALL, "Secret default/gw"]))
        await idle(deployer)
        volumes = site.one("Deployment default/gw")["spec"]["template"]["spec"]["volumes"]
        assert [one["secret"]["secretName"] for one in volumes if "secret" in one] == ["gw-xds"]
        await site.wants(gone=(row(),))
        await until(lambda: site.found() == ["Secret default/gw"])
        await idle(deployer)
    assert site.one("Secret default/gw")["type"] == "kubernetes.io/tls"
