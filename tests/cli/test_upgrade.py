"""`penstock upgrade --dry-run`: what an engine of another version left, against what this one makes of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from envoy_data_plane.envoy.config.route.v3 import RedirectActionRedirectResponseCode as Code
from envoy_data_plane.envoy.config.route.v3 import Route

from engine.engine import VERSION, Engine
from engine.events import ChangeSet
from engine.update import Delta, Fragment, FragmentKind, Update
from streams.kafka import KafkaLog
from streams.topics import Topic
from tests.cli.log import CANARY, Place, resolved

_OLDER = "7"
_KEYS = {
    "offset", "running", "this", "differs", "diff", "statuses", "radius", "requests", "envoy", "limits", "code",
}  # fmt: skip


class _Older(Engine):
    """Redirects with 301 whatever a route says, tells of Gateways in other words, and names their proxies otherwise."""

    def apply(self, change_set: ChangeSet, offset: int) -> Update:
        return _older(super().apply(change_set, offset))

    def everything(self) -> Update:
        return _older(super().everything())


def _older(update: Update) -> Update:
    fragments = {key: _redirecting(one) for key, one in update.fragments.set.items()}
    statuses = {key: _reworded(one) if "/Gateway/" in key else one for key, one in update.statuses.set.items()}
    infra = {key: {**one, "proxy": f"older-{one['name']}"} for key, one in update.infra.set.items()}
    return replace(
        update,
        fragments=Delta(fragments, update.fragments.removed),
        statuses=Delta(statuses, update.statuses.removed),
        infra=Delta(infra, update.infra.removed),
    )


def _redirecting(one: Fragment) -> Fragment:
    if one.key.kind is not FragmentKind.ROUTE:
        return one
    message = Route.parse(one.payload)
    if message.redirect is None:
        return one
    message.redirect.response_code = Code.MOVED_PERMANENTLY
    payload = bytes(message)
    return replace(one, payload=payload, version=hashlib.blake2b(payload, digest_size=16).hexdigest())


def _reworded(status: Any) -> Any:
    conditions = [
        {**one, "message": "it is taken"} if one["type"] == "Accepted" else one for one in status["status"]["conditions"]
    ]
    return {**status, "status": {**status["status"], "conditions": conditions}}


@pytest.fixture(scope="module")
def older(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data"), _Older, _OLDER) as found:
        yield found


@pytest.fixture(scope="module")
def same(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data")) as found:
        yield found


def _ends(place: Place) -> dict[str, tuple[int, int]]:
    async def read() -> dict[str, tuple[int, int]]:
        log = KafkaLog(place.brokers, place.prefix)
        return {topic.value: await log.ends(topic, 0) for topic in Topic}

    return asyncio.run(read())


@pytest.mark.kafka
def test_what_this_version_says_otherwise_is_told(older: Place) -> None:
    before = _ends(older)
    result = older.run("upgrade", "--dry-run", "-o", "json")
    assert result.exit_code == 0, result.output
    assert CANARY not in result.output
    found = orjson.loads(result.stdout)
    assert found.keys() == _KEYS
    assert (found["running"], found["this"], found["differs"]) == (_OLDER, VERSION, True)
    assert found["diff"]["objects"] == []
    (sentence,) = found["diff"]["routing"]
    assert sentence.startswith("Gateway default/gw port 8080 host b.example: / moved from a redirect")
    assert len(found["diff"]["envoy"]) == 1
    assert found["diff"]["proxies"] == [
        {
            "key": "local/gateway.networking.k8s.io/Gateway/default/gw",
            "verb": "changed",
            "places": [{"path": "proxy", "before": "older-gw", "after": "gw"}],
        }
    ]
    (status,) = found["statuses"]
    assert status["ref"] == "local/gateway.networking.k8s.io/Gateway/default/gw"
    (turned,) = status["conditions"]
    assert (turned["type"], turned["before"]["message"]) == ("Accepted", "it is taken")
    assert (len(found["radius"]["routes"]["changed"]), found["radius"]["routes"]["of"]) == (1, 2)
    assert found["envoy"] == {"rejected": []}
    assert _ends(older) == before


@pytest.mark.kafka
def test_limits_of_an_upgrade(older: Place) -> None:
    words = ("upgrade", "--dry-run", "--no-envoy")
    assert older.run(*words, "--fail-on-change").exit_code == 5
    assert older.run(*words, "--max-routes-changed", "50%").exit_code == 0
    result = older.run(*words, "--max-routes-changed", "0")
    assert result.exit_code == 5
    assert f"engine version {_OLDER} runs, this is version {VERSION}" in result.stdout
    assert "--max-routes-changed 0 is exceeded: 1 of 2 (50.0%)" in result.stdout
    only = older.run(*words, "--level", "proxies").stdout
    assert 'proxies\n  Gateway/default/gw changed\n      proxy: "older-gw" -> "gw"\n' in only
    assert ": / moved" not in only


@pytest.mark.kafka
def test_of_the_same_version_nothing_differs(same: Place) -> None:
    result = same.run("upgrade", "--dry-run", "--fail-on-change", "--no-envoy")
    assert result.exit_code == 0, result.output
    assert "nothing differs" in result.stdout
    assert f"engine version {VERSION} runs, this is version {VERSION}" in result.stdout


@pytest.mark.kafka
def test_without_dry_run_it_says_how_an_upgrade_is_done(same: Place) -> None:
    result = same.run("upgrade")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "an upgrade is done by starting the new version" in result.stderr
