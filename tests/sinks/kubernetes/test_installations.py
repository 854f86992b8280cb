"""Two installations in one cluster, which know their objects by the domain and the controller's name together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.resolve.settings import EngineSettings
from streams.sinks.kubernetes.objects import GATEWAY, Target
from streams.sinks.kubernetes.proxy import CONTROLLER
from tests.sinks.kubernetes.test_deployer import ALL, OPTIONS, Site, idle, row, site, until  # noqa: F401  a fixture

_OTHER = replace(OPTIONS, template=replace(OPTIONS.template, controller="example.com/another-controller"))


def _other_site(site: Site) -> Site:  # noqa: F811
    """Another installation's log, on the same cluster."""
    other = Site()
    other.objects = site.objects
    return other


async def _without_controller(site: Site) -> None:  # noqa: F811
    """As objects were labelled before there was a label for the controller's name."""
    for object_ in site.objects.all().values():
        labels = object_["metadata"].get("labels", {})
        if labels.pop(CONTROLLER, None):
            await site.objects.put(object_)


def _controllers(site: Site) -> set[Any]:  # noqa: F811
    return {site.one(name)["metadata"]["labels"].get(CONTROLLER) for name in site.found()}


async def test_another_controllers_proxies_are_left_alone(site: Site) -> None:  # noqa: F811
    other = _other_site(site)
    await site.gateway()
    await site.gateway("other", "uid-of-other")
    await site.wants(row())
    await other.wants(row("other"))
    async with site.deploying() as one, other.deploying(_OTHER) as two:
        await until(lambda: len(site.found()) == 10)
        await idle(one)
        await idle(two)
        site.objects.calls.clear()
        # Each looks at all there is once more.
        await site.wants(row())
        await site.objects.drop()
        await idle(one)
        await idle(two)
        assert site.objects.calls == []
        await other.wants(gone=(row("other"),))
        await until(lambda: site.found() == ALL)


async def test_the_secret_of_another_controllers_proxies_stays(site: Site) -> None:  # noqa: F811
    """It is looked for by its name: a Gateway may go over to another class."""
    other = _other_site(site)
    async with site.deployed():
        async with other.deploying(_OTHER) as theirs:
            await other.wants(row())
            await other.wants(gone=(row(),))
            await until(lambda: theirs.is_told and not theirs.wanted)
            await idle(theirs)
        assert site.found() == ALL


async def test_a_gateway_goes_over_to_another_controller(site: Site) -> None:  # noqa: F811
    other = _other_site(site)
    async with site.deployed() as ours, other.deploying(_OTHER) as theirs:
        await other.wants(row())
        await until(lambda: len(_controllers(site)) == 1 and site.found() == ALL)
        await site.wants(gone=(row(),))
        await until(lambda: not ours.wanted)
        await idle(ours)
        await idle(theirs)
        assert site.found() == ALL


async def test_what_was_labelled_by_its_domain_alone_is_labelled_anew(site: Site) -> None:  # noqa: F811
    """Whoever owns it: its Gateway may have been made anew while the penstock of before was replaced."""
    async with site.deployed():
        pass
    await _without_controller(site)
    await site.objects.delete(Target(GATEWAY, "default", "gw"))
    await site.gateway(uid="uid-of-the-next")
    assert _controllers(site) == {None}
    async with site.deploying() as deployer:
        await until(lambda: None not in _controllers(site))
        await idle(deployer)
        assert site.found() == ALL
        await site.wants(gone=(row(),))
        await until(lambda: not site.found())


async def test_what_was_labelled_by_its_domain_alone_is_not_removed_for_that(site: Site) -> None:  # noqa: F811
    """It may be another installation's, which labels it anew when it is replaced in its turn."""
    async with site.deployed():
        pass
    await _without_controller(site)
    other = _other_site(site)
    await other.wants()
    async with other.deploying(_OTHER) as theirs:
        await idle(theirs)
        assert site.found() == ALL


def test_the_default_is_the_engines() -> None:
    assert OPTIONS.template.controller == EngineSettings().controller_name
