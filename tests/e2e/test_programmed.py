"""Programmed says what proxies run: never before they do, and not never when there is nothing for them to take."""

from __future__ import annotations

import os
import signal
from typing import Any

from streams.identity import sealer
from streams.xds import snapshot
from tests.e2e.site import GATEWAY, Site, offsets, route
from tests.support.running import START_SECONDS, free_port, pid_of, until

LISTENER = "{{name: http, port: {port}, protocol: HTTP}}"


def condition(site: Site, name: str = "gw") -> dict[str, Any]:
    """The Programmed condition of a Gateway; of one that is not resolved yet a condition that says nothing."""
    found = [one for one in site.tells("get", "gateways")["items"] if one["metadata"]["name"] == name]
    conditions = found[0].get("status", {}).get("conditions", []) if found else []
    return next((one for one in conditions if one["type"] == "Programmed"), {"status": "", "observedGeneration": 0})


def is_programmed(site: Site, generation: int, name: str = "gw") -> bool:
    one = condition(site, name)
    return bool(one["status"] == "True" and one["observedGeneration"] == generation)


def resolved(site: Site, after: int) -> int:
    """Wait until a change above `after` is resolved; its offset."""
    until(lambda: offsets(site)[0] > after and offsets(site)[0] == offsets(site)[1], says=lambda: site.printed)
    return offsets(site)[0]


def published(site: Site, offset: int) -> None:
    """Wait until the publisher has seen an offset: its snapshot says so."""
    path, opener = site.data / "snapshot" / "default.sealed", sealer(site.data / "keys" / "sealing.key")
    until(lambda: (found := snapshot.load(path, opener)) is not None and found.offset >= offset)


def with_listener(site: Site, more: str) -> str:
    """The manifest of gw with something behind its listener."""
    text = (site.manifests / "gateway.yaml").read_text()
    return text.replace("protocol: HTTP}]", f"protocol: HTTP}}{more}]", 1)


def test_it_waits_for_a_stopped_envoy_and_for_nothing_else(site: Site) -> None:
    site.populate()
    site.start()
    site.serves("one")
    until(lambda: is_programmed(site, 1), says=lambda: str(condition(site)))
    envoy, second = pid_of(site.data, r"envoy -c"), free_port()
    os.kill(envoy, signal.SIGSTOP)
    try:
        before = offsets(site)[0]
        site.write("gateway.yaml", with_listener(site, f", {{name: more, port: {second}, protocol: HTTP}}"))
        published(site, resolved(site, before))
        # A change of later that another proxy takes shows that nothing but the stopped one is waited for.
        site.write("other.yaml", GATEWAY.format(name="other", port=free_port()))
        until(lambda: is_programmed(site, 1, "other"), 60, lambda: str(condition(site, "other")))
        seen = condition(site)
        assert (seen["status"], seen["reason"], seen["observedGeneration"]) == ("False", "Pending", 2)
        assert seen["message"] == "not all proxies, or none, have acknowledged it"
        listeners = site.tells("get", "gateway", "gw")["status"]["listeners"]
        assert [one["status"] for row in listeners for one in row["conditions"] if one["type"] == "Programmed"] == [
            "False"
        ] * 2
        assert "behind" in site.call("status").stdout
    finally:
        os.kill(envoy, signal.SIGCONT)
    until(lambda: is_programmed(site, 2), says=lambda: str(condition(site)))
    until(lambda: site.ask(port=second) == (200, "one"), says=lambda: site.printed)
    site.ends()


def test_what_leaves_the_bytes_equal_is_programmed_at_once(site: Site) -> None:
    """Even while Envoy does not answer: it runs what is wanted."""
    site.populate()
    site.start()
    site.serves("one")
    until(lambda: is_programmed(site, 1), says=lambda: str(condition(site)))
    envoy = pid_of(site.data, r"envoy -c")
    os.kill(envoy, signal.SIGSTOP)
    try:
        text = (site.manifests / "gateway.yaml").read_text()
        site.write("gateway.yaml", text.replace("spec: {", "spec: {infrastructure: {labels: {team: a}}, ", 1))
        until(lambda: is_programmed(site, 2), says=lambda: str(condition(site)))
    finally:
        os.kill(envoy, signal.SIGCONT)
    site.ends()


def test_gone_and_back_while_the_publisher_looks_away_is_programmed(site: Site) -> None:
    """What it sees afterwards is what it saw before; the proxy has taken it long ago."""
    site.populate()
    site.start()
    site.serves("one")
    until(lambda: is_programmed(site, 1), says=lambda: str(condition(site)))
    text = (site.manifests / "gateway.yaml").read_text()
    paused = [pid_of(site.data, rf"cli {role}( |$)") for role in ("publish", "deploy")]
    for pid in paused:
        os.kill(pid, signal.SIGSTOP)
    try:
        before = offsets(site)[0]
        (site.manifests / "gateway.yaml").unlink()
        before = resolved(site, before)
        site.write("gateway.yaml", text)
        resolved(site, before)
        assert condition(site)["status"] == "False"
    finally:
        for pid in paused:
            os.kill(pid, signal.SIGCONT)
    until(lambda: is_programmed(site, 1), 60, lambda: str(condition(site)))
    site.write("route.yaml", route("two"))
    site.serves("two")
    site.ends()


def test_a_proxy_that_has_nothing_to_serve_runs_what_there_is(site: Site) -> None:
    """None of its Gateway's listeners is accepted, so nothing is ever published of it."""
    text = GATEWAY.format(name="gw", port=site.port)
    site.write("gateway.yaml", text.replace("protocol: HTTP", "protocol: TCP"))
    site.start()
    site.says("started an Envoy", START_SECONDS)
    until(lambda: _runs(site) >= 0, 30, lambda: f"{site.call('status').stdout}\n{site.printed}")
    assert "behind" not in site.call("status").stdout
    site.says(f"default/gw: 1 connected, run offset {_runs(site)}")
    site.populate()
    site.serves("one")
    site.ends()


def _runs(site: Site) -> int:
    """The offset that the one proxy runs; -1 while there is none, or it runs nothing."""
    return max((int(one["offset"]) for one in site.tells("status")["proxies"]), default=-1)
