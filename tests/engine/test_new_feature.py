"""A feature of TrafficPolicy that is new: two files that are there, and nothing else is edited."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_MODEL = '''
"""greeting: what backends are greeted with, as the path that they are asked for."""

from typing import Annotated

from pydantic import Field

from engine.models.traffic_block import TrafficBlock

BLOCK = TrafficBlock("greeting", Annotated[str, Field(min_length=1, description="A word.")])
'''
_FEATURE = '''
"""greeting: what backends are greeted with."""

from engine.envoy.effect import Effect
from engine.policies.feature import Feature


def effect(graph, use, value):
    return Effect(action=(("prefix_rewrite", f"/{value}"),))


FEATURE = Feature("greeting", effect, inherited=True)
'''
_TRIED = """
import sys
import engine.models.traffic, engine.policies

engine.models.traffic.__path__.append(sys.argv[1] + "/models")
engine.policies.__path__.append(sys.argv[1] + "/policies")

from engine.models.crd import crds
from engine.seal import KEY_BYTES, Sealer
from engine.engine import Engine
from engine.update import FragmentKind
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service

(crd,) = [one for one in crds().values() if one["spec"]["names"]["kind"] == "TrafficPolicy"]
print(crd["spec"]["versions"][-1]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["greeting"])


def policy(name, kind, target, greeting):
    named = {"group": API, "kind": kind, "name": target}
    spec = {"targetRefs": [named], "greeting": greeting}
    return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", name, {"spec": spec})


engine = Engine(Sealer(bytes(KEY_BYTES)))
number = 0


def told(*changes):
    global number
    number += 1
    assert engine.apply(change_set(*changes, number=number), number).warnings == ()
    found = engine.everything()
    return [one.payload for one in found.fragments.set.values() if one.key.kind is FragmentKind.ROUTE], found.statuses.set


bare, _ = told(gateway(), route("r"), service(), endpoints())
(far,), _ = told(policy("far", "Gateway", "gw", "hello"))
near = policy("near", "HTTPRoute", "r", "hi")
(both,), statuses = told(near)
print(b"/hello" in far, b"/hi" in both, b"/hello" in both, b"merge.TrafficPolicy" in both)
print([one["reason"] for one in statuses[str(near.ref)]["status"]["ancestors"][0]["conditions"]])
_, statuses = told(policy("wrong", "HTTPRoute", "r", ""))
print(told(delete(near), delete(policy("far", "Gateway", "gw", "x")), delete(policy("wrong", "HTTPRoute", "r", "x")))[0] == bare)
"""


def test_a_new_feature_is_two_files(tmp_path: Path) -> None:
    for room, text in (("models", _MODEL), ("policies", _FEATURE)):
        (tmp_path / room).mkdir()
        (tmp_path / room / "greeting.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", _TRIED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(_ROOT)}, cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "{'description': 'A word.', 'minLength': 1, 'type': 'string'}",
        "True True False True",
        "['Valid', 'Attached']",
        "True",
    ]
