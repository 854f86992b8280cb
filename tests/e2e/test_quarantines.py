"""Several guilty objects at once, and a guilty policy of many routes: who pays, and who does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.site import Site, asked_all_along, route
from tests.support import lenient
from tests.support.running import until

pytestmark = [pytest.mark.kafka, pytest.mark.envoy, pytest.mark.timeout(600)]
_MANY = 16
_POLICY = """
apiVersion: gateway.kgateway.dev/v1alpha1
kind: TrafficPolicy
metadata: {{name: p}}
spec:
  targetRefs: [{targets}]
  urlRewrite: {{pathRegex: {{pattern: "{pattern}", substitution: "/x"}}}}
"""
_BACKEND_POLICY = """
apiVersion: gateway.kgateway.dev/v1alpha1
kind: BackendConfigPolicy
metadata: {{name: bcp}}
spec:
  targetRefs: [{{group: "", kind: Service, name: be}}]
  {said}
"""
_BAD_FILE = "tls: {files: {rootCA: /nowhere/poison.pem}}"
_BAD = "poison["


def _route(name: str, header: str, path: str = "") -> str:
    found = route(header, path or f"/{name}", name)
    return found.replace("PathPrefix", "RegularExpression").replace(path, f'"{path}"') if path else found


def _policy(pattern: str) -> str:
    names = (f"{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: m{number}}}" for number in range(_MANY))
    return _POLICY.format(targets=", ".join(names), pattern=pattern)


def _held(site: Site) -> dict[str, tuple[object, object]]:
    """By object the generations that run and that were rejected."""
    rows = site.tells("quarantine", "list")
    return {
        one["ref"].rpartition("/")[2]: (one["runs"], one["rejected"])
        for row in rows
        for one in row["objects"]
        if one["held"]
    }


def _answers(site: Site, names: list[str], said: str) -> bool:
    return all(site.ask(f"/{name}") == (200, said) for name in names)


def test_who_pays_and_who_does_not(site: Site) -> None:
    site.populate()
    site.write(
        "several.yaml", "---".join(_route(name, "one") for name in "abcd") + "---" + _cluster("connectTimeout: 1s")
    )
    site.write("many.yaml", "---".join(_route(f"m{number}", "one") for number in range(_MANY)))
    site.write("policy.yaml", _policy("^/never$"))
    site.start(env={"PYTHONPATH": os.pathsep.join([str(Path(lenient.__path__[0])), os.environ.get("PYTHONPATH", "")])})
    every = [*"abcd", *(f"m{number}" for number in range(_MANY))]
    until(lambda: _answers(site, every, "one"), 300, lambda: site.printed)
    _several_at_once(site)
    _a_policy_of_many_routes(site)
    site.ends()


def _cluster(said: str) -> str:
    return _BACKEND_POLICY.format(said=said)


def _several_at_once(site: Site) -> None:
    """Three routes and a backend's policy in one change, and an edit in it that is good."""
    with asked_all_along(site) as seen:
        bad = [_route(name, "bad", f"/{_BAD}{name}") for name in "abc"]
        site.write("several.yaml", "---".join([*bad, _route("d", "two"), _cluster(_BAD_FILE)]))
        until(lambda: _held(site) == dict.fromkeys(["a", "b", "c", "bcp"], (1, 2)), 120, lambda: site.printed)
        until(lambda: _answers(site, ["d"], "two"), 60, lambda: site.printed)
        assert _answers(site, [*"abc"], "one")
        words = {one["fragment"].split("/")[5]: one["error"] for one in site.tells("quarantine", "list")}
        assert "missing ]" in words["route"]
        assert "/nowhere/poison.pem" in words["cluster"]
        site.write(
            "several.yaml", "---".join([*(_route(name, "two") for name in "abcd"), _cluster("connectTimeout: 2s")])
        )
        until(lambda: _answers(site, [*"abcd"], "two"), 60, lambda: site.printed)
        until(lambda: not _held(site), 60, lambda: site.printed)
    assert set(seen) == {(200, "one")}


def _a_policy_of_many_routes(site: Site) -> None:
    """One verdict holds the policy, and all its routes fall back with it."""
    many = [f"m{number}" for number in range(_MANY)]
    with asked_all_along(site, "/m7") as seen:
        site.write("policy.yaml", _policy(_BAD))
        until(lambda: _held(site) == {"p": (1, 2)}, 120, lambda: site.printed)
        assert len(site.tells("quarantine", "list")) < _MANY
        assert _answers(site, many, "one")
        status = site.call("status", "TrafficPolicy/p").stdout
        assert "the last good revision (generation 1)" in status, status
        assert "missing ]" in status
        # Nothing else waits for it.
        site.write("route.yaml", route("two"))
        site.serves("two")
        assert _held(site) == {"p": (1, 2)}
        site.write("policy.yaml", _policy("^/never/again$"))
        until(lambda: not _held(site), 60, lambda: site.printed)
    assert {code for code, _ in seen} == {200}
