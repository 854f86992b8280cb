"""Two runs on one port: one answers, the other says so with the remedy, and takes the port when it is free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site, answering
from tests.e2e.trouble import dies, until
from tests.support.running import START_SECONDS, pid_of, tidy

_WORKERS = {"PENSTOCK_ENVOY_CONCURRENCY": "2"}


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """Two sites whose gateways want the same port."""
    for name in ("one", "two"):
        (tmp_path / name / "manifests").mkdir(parents=True)
    with answering() as backend, tidy(tmp_path):
        one = Site(tmp_path / "one", backend)
        yield one, Site(tmp_path / "two", backend, one.port)


def test_of_two_runs_on_a_port_one_answers_and_the_other_says_so_until_it_is_free(sites: tuple[Site, Site]) -> None:
    one, two = sites
    for site, name in ((one, "one"), (two, "two")):
        site.populate(name)
        site.start(env=_WORKERS)
        one.serves("one")
    two.says(f"address=127.0.0.1:{one.port}", START_SECONDS)
    assert "a proxy cannot listen: end what holds the address, or give the listener another port" in two.printed
    assert "gateway=default/gw " in two.printed
    until(lambda: "Programmed=False" in two.call("status").stdout, lambda: two.call("status").stdout)
    told = two.call("status").stdout
    assert f"cannot bind '127.0.0.1:{one.port}': Address already in use\n            end what holds" in told
    assert _answers(one) == {"one"}
    # A proxy that is adopted again does not stand in its own way.
    envoy = pid_of(one.data, "envoy -c")
    dies(one)
    assert _answers(one) == {"one"}
    one.start(env=_WORKERS)
    one.says("adopted an Envoy")
    one.write("route.yaml", (one.manifests / "route.yaml").read_text().replace('"one"', '"anew"'))
    one.serves("anew")
    assert (pid_of(one.data, "envoy -c"), _answers(one)) == (envoy, {"anew"})
    assert "cannot listen" not in one.printed
    one.ends()
    two.serves("two")
    until(lambda: "cannot bind" not in two.call("status").stdout)
    assert _answers(two) == {"two"}
    two.ends()


def _answers(site: Site) -> set[str]:
    """Who answers many connections."""
    found = Counter(site.ask() for _ in range(60))
    assert {status for status, _ in found} == {200}, found
    return {header for _, header in found}
