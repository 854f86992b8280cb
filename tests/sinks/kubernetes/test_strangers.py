"""What stands there under the name of a Gateway and is somebody else's."""

from __future__ import annotations

from tests.sinks.kubernetes.test_deployer import ALL, Site, idle, row, site, until  # noqa: F401  a fixture


async def test_somebody_elses_object_is_left_alone(site: Site) -> None:  # noqa: F811
    """And the others are deployed all the same."""
    await site.gateway()
    metadata = {"name": "gw", "namespace": "default"}
    await site.objects.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"theirs": "1"}})
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
