"""What is told of a change is what comes of it: in the log's difference, in the stream's update, and for a client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.broker import Broker
from streams.kafka import KafkaLog
from streams.topics import Topic
from tests.e2e.site import Site, answering, offsets, route
from tests.support.running import tidy, until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with answering() as port, tidy(tmp_path):
        one = Site(tmp_path, port)
        one.populate("one")
        one.write("pay.yaml", route("pay-v1", "/pay", "pay"))
        yield one


def test_what_is_told_is_what_comes(site: Site) -> None:
    site.start()
    site.serves("pay-v1", "/pay")
    before = offsets(site)[0]
    proposed = site.root / "proposed.yaml"
    proposed.write_text(route("pay-v2", "/pay", "pay"))
    url = f"http://any.example.com:{site.port}"
    (site.root / "requests").write_text(f"GET {url}/pay\nGET {url}/\n")
    told = _json(site, "what-if", str(proposed), "--requests", str(site.root / "requests"))
    assert told["offset"] >= before  # of a transaction the marker takes one, too
    assert (told["code"], told["envoy"]) == (0, {"rejected": []})
    assert (told["requests"]["of"], told["requests"]["changed"]) == (2, 0)  # the same backend, under another header
    assert any("/pay" in one and "has another response headers" in one for one in told["diff"]["routing"])
    (changed,) = told["radius"]["routes"]["changed"]
    assert changed.endswith("/HTTPRoute/default/pay/0/0")
    assert site.ask("/pay") == (200, "pay-v1")
    assert offsets(site)[0] == before

    site.write("pay.yaml", proposed.read_text())
    site.serves("pay-v2", "/pay")
    after = offsets(site)[0]
    real = _json(site, "diff", str(before), str(after))
    assert {name: real[name] for name in ("objects", "routing", "envoy")} == {
        name: told["diff"][name] for name in ("objects", "routing", "envoy")
    }
    until(lambda: any(one["offset"] == after for one in _updates(site)), 30)
    (update,) = [one for one in _updates(site) if one["offset"] == after]
    fragments = update["downstream"]["fragments"]
    assert sorted([*fragments["set"], *fragments["removed"]]) == sorted(one["key"] for one in told["diff"]["envoy"])
    (node,) = [one for one in update["routing"] if one["node"].startswith("route/")]
    assert (node["node"], node["verb"]) == (f"route/{told['given']['put'][0]}", "changed")
    assert _json(site, "upgrade", "--dry-run", "--fail-on-change", "--no-envoy")["differs"] is False
    site.ends()


def _json(site: Site, *words: str) -> Any:
    done = site.call(*words, "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _updates(site: Site) -> list[Any]:
    async def read() -> list[Any]:
        log = KafkaLog(Broker(site.data / "broker").address())
        values = [orjson.loads(one.value or b"{}") async for some in log.read(Topic.UPDATES, 0) for one in some]
        return [one for one in values if "offset" in one]  # what opens a transaction says nothing

    return asyncio.run(read())
