"""A policy that guards and was never taken is told as it is written, beside its refusal: the engine closes what it names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy_data_plane.envoy.config.route.v3 import Route

from engine.events import Admitted, Change, Delete, Put, Refused
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from streams.cli.commands.check import judge
from streams.codec import decode_change_set
from streams.memory import MemoryLog
from streams.sources.directory import Directory
from streams.sources.files import _Source
from streams.sources.journal import Journal
from streams.sources.logged import Place, logged
from streams.topics import Topic
from tests.support.story import KGATEWAY, Story

_TIME = "2026-11-24T10:00:00.000Z"
_TARGET = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r"}
_ALLOW = {"extensionRef": {"name": "allow"}}


def _policy(spec: Any, kind: str = "TrafficPolicy", **metadata: Any) -> str:
    return yaml.safe_dump(
        {"apiVersion": f"{KGATEWAY}/v1alpha1", "kind": kind, "metadata": {"name": "p", **metadata}, "spec": spec}
    )


def _guard(body: Any, **metadata: Any) -> str:
    return _policy({"targetRefs": [_TARGET], "extAuth": {**_ALLOW, **body}}, **metadata)


_BAD = _guard({"withRequestBody": {"maxRequestBytes": 0}})
_WORSE = _guard({"withRequestBody": {"maxRequestBytes": -1}})
_GOOD = _guard({"withRequestBody": {"maxRequestBytes": 1}})


async def _played(root: Path, texts: Iterable[str | None], *, restart: bool = False) -> list[list[Change]]:
    """What is appended by each of these texts of a file; None is none."""
    log, path, directory = MemoryLog(), root / "x.yaml", Directory(root, "local", allow_empty=True)
    found: list[list[Change]] = []
    async with log.writer("s") as writer:
        for text in texts:
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text)
            if restart:
                directory = Directory(root, "local", allow_empty=True)
            touched, there = directory.look(), await logged(log, "local", 0)
            source = _Source(directory, Journal(Place("files", "local"), writer, there, lambda: _TIME), Sealer(bytes(KEY_BYTES)))
            directory.compare(source.logged.objects.keys())
            before = await _changes(log)
            await source._append(touched | source.logged.objects.keys())
            found.append((await _changes(log))[len(before) :])
    return found


async def _changes(log: MemoryLog) -> list[Change]:
    records = [one async for batch in log.read(Topic.CHANGES, 0) for one in batch]
    changes = [change for one in records for change in decode_change_set(one).changes]
    return [one for one in changes if isinstance(one, Put | Delete | Refused | Admitted)]


def _fails(story: Story) -> bool:
    fragment = story.one(FragmentKind.ROUTE, "/r/")
    assert fragment is not None
    answer = Route.parse(fragment.payload).direct_response
    return answer is not None and answer.status == 500  # noqa: PLR2004




def _names(changes: Iterable[Change]) -> list[str]:
    return [type(one).__name__ for one in changes]


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_one_that_was_never_right_closes_its_route_until_it_is(tmp_path: Path, *, restart: bool) -> None:
    played = asyncio.run(_played(tmp_path, [_BAD, _BAD, _WORSE, _GOOD, _BAD, None], restart=restart))
    assert [_names(one) for one in played] == [["Put", "Refused"], [], ["Put", "Refused"], ["Put", "Admitted"], ["Refused"], ["Delete", "Admitted"]]
    story, closed = Story(), []
    extension = {"apiVersion": f"{KGATEWAY}/v1alpha1", "kind": "GatewayExtension", "metadata": {"name": "allow", "namespace": "default"}}
    service = {"extAuth": {"grpcService": {"backendRef": {"name": "s", "port": 80}}}}
    (put,) = [one for one in played[3] if isinstance(one, Put)]
    story.tell(Put(put.ref._replace(kind="GatewayExtension", name="allow"), {**extension, "spec": service}))
    for changes in played:
        if changes:
            story.tell(*changes)
        closed.append(_fails(story))
    assert closed == [True, True, True, False, False, False]


def test_it_is_stamped_as_others_are(tmp_path: Path) -> None:
    played = asyncio.run(_played(tmp_path, [_BAD, _WORSE, _GOOD]))
    stamps = [one.object["metadata"] for changes in played for one in changes if isinstance(one, Put)]
    assert [one["generation"] for one in stamps] == [1, 2, 3]
    assert {one["creationTimestamp"] for one in stamps} == {_TIME}


def test_of_what_nothing_was_checked_only_what_names_it_is_told(tmp_path: Path) -> None:
    bad = _guard({"nonsense": 1}, labels=[1], annotations={"a": {"b": 1}}, creationTimestamp=7, finalizers="x")
    ((put, refused),) = asyncio.run(_played(tmp_path, [bad]))
    assert isinstance(put, Put)
    assert isinstance(refused, Refused)
    assert put.object["metadata"] == {"name": "p", "namespace": "default", "generation": 1, "creationTimestamp": _TIME}
    assert refused.ref == put.ref


def test_a_policy_of_backends_is_told_for_its_tls(tmp_path: Path) -> None:
    spec = {"targetRefs": [{"group": "", "kind": "Service", "name": "s"}], "tls": {"nonsense": 1}}
    assert [_names(one) for one in asyncio.run(_played(tmp_path, [_policy(spec, "BackendConfigPolicy")]))] == [["Put", "Refused"]]


@pytest.mark.parametrize(
    "text",
    [
        _policy({"oauth2": {"nonsense": 1}}, "GatewayExtension"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: p}\ndata: {a: '%'}\n",
        _BAD + "x: .nan\n",
        _BAD.replace("name: p\n", "name: [p\n"),
        _BAD + 'x: "' + "y" * (3 << 20) + '"\n',
    ],
    ids=["extension", "secret", "nan", "broken", "size"],
)
def test_nothing_else_that_is_refused_is_told(tmp_path: Path, text: str) -> None:
    assert [_names(one) for one in asyncio.run(_played(tmp_path, [text]))] == [["Refused"]]


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_a_slip_elsewhere_in_the_file_does_not_open_it(tmp_path: Path, *, restart: bool) -> None:
    played = asyncio.run(_played(tmp_path, [_BAD, _BAD + "---\na: [\n"], restart=restart))
    assert "Delete" not in _names(played[1])


def test_where_it_stands_right_too_that_counts(tmp_path: Path) -> None:
    (tmp_path / "y.yaml").write_text(_GOOD)
    (changes,) = asyncio.run(_played(tmp_path, [_BAD]))
    (put,) = [one for one in changes if isinstance(one, Put)]
    assert put.object["spec"]["extAuth"]["withRequestBody"] == {"maxRequestBytes": 1}


@pytest.mark.parametrize(
    "spec",
    [
        None, [], "x", {"targetRefs": "x", "extAuth": []}, {"targetRefs": [1, {"kind": ["a"], "name": {}}], "rbac": 7},
        {"targetRefs": [{**_TARGET, "sectionName": [1]}], "": 1, "a/b": {"c": []}, "rateLimit": {"local": "x"}},
        {"targetSelectors": [{"matchLabels": [1]}, {"group": 5, "kind": "HTTPRoute", "matchLabels": {"a": {}}}], "cors": "x"},
        {"targetRefs": [_TARGET], "extAuth": {"disable": 1}, "jwtAuth": "x", "transformation": [1], "timeouts": 5, "acl": {"a": "b"}},
    ],
)  # fmt: skip
def test_whatever_it_says_the_engine_takes_it(tmp_path: Path, spec: Any) -> None:
    """What an API server would not let through comes from a file."""
    for kind in ("TrafficPolicy", "BackendConfigPolicy"):
        (changes,) = asyncio.run(_played(tmp_path, [_policy(spec, kind)]))
        assert "Put" in _names(changes)
        Story().tell(*changes)


def test_a_check_says_of_it_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(_BAD)
    answer = judge([("local", tmp_path)])
    assert [one["location"] for one in answer["refused"]] == ["x.yaml:1"]
    assert (answer["objects"], answer["conditions"], answer["defects"]) == (0, [], [])
