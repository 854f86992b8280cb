"""`penstock wait` and `penstock convergence`: a stopped Envoy is waited for, named, and counted; what is acknowledged is not."""

from __future__ import annotations

import json
import os
import signal

from tests.e2e.site import Site, route
from tests.support.running import pid_of, until


def test_a_stopped_envoy_is_waited_for_and_named(site: Site) -> None:
    site.populate()
    site.start()
    site.serves("one")
    done = site.call("wait", "now", "--timeout", "60s")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("is run by 1 gateways\n")
    envoy = pid_of(site.data, r"envoy -c")
    os.kill(envoy, signal.SIGSTOP)
    try:
        before = site.tells("log", "--limit", "1")[0]["offset"]
        site.write("route.yaml", route("two"))
        until(lambda: site.tells("log", "--limit", "1")[0]["offset"] > before)
        late = site.call("wait", "now", "--timeout", "1s", "-o", "json")
        assert late.returncode == 6, late.stderr
        assert "1 changes behind" in late.stderr
        assert json.loads(late.stdout)["is_there"] is False
        (row,) = site.tells("convergence", "gw")
        (proxy,) = row["proxies"]
        assert (proxy["behind"]["changes"], proxy["connected"]) == (1, True)
        assert proxy["behind"]["since"]
        assert site.call("wait", str(before), "--timeout", "1s").returncode == 0, "it runs what was before"
    finally:
        os.kill(envoy, signal.SIGCONT)
    offset = str(site.tells("log", "--limit", "1")[0]["offset"])
    assert site.call("wait", offset, "--gateway", "default/gw", "--timeout", "60s").returncode == 0
    assert site.ask() == (200, "two")
    until(lambda: (site.tells("convergence")[0]["latency"] or {}).get("max", 0) >= 1000)
    _what_is_off_is_told(site)
    site.ends()


def _what_is_off_is_told(site: Site) -> None:
    for words, code, said in (
        (("wait", "soon"), 2, "'soon' is no offset"),
        (("wait", "now", "--timeout", "fast"), 2, "--timeout 'fast' is no duration"),
        (("wait", "now", "--gateway", "nobody", "--timeout", "100ms"), 6, "there is no proxy of Gateway nobody"),
        (("wait", "999999", "--timeout", "100ms"), 6, "the log is resolved to"),
        (("convergence", "nobody"), 1, "no proxy of Gateway nobody was ever connected"),
    ):
        done = site.call(*words)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
