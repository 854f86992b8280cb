"""`penstock what-if` on a log: what it tells, that it writes nothing, and how wrong words and manifests end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.engine import Engine
from engine.events import Put
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.cli.proposal import Proposal, proposal
from streams.cli.sample import sample
from streams.clock import now
from streams.kafka import KafkaLog
from streams.topics import Topic
from tests.cli.log import CANARY, Place, resolved
from tests.support.manifests import change_set, gateway, route

_SEALER = Sealer(bytes(KEY_BYTES))

_SERVED = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
"""
_MOVED = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: twice}
spec:
  parentRefs: [{name: gw, sectionName: http, port: 8080}]
  hostnames: [b.example]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: d.example}}]}]
"""
_NEW = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: new}
spec:
  parentRefs: [{name: gw}]
  hostnames: [n.example]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: c.example}}]}]
"""
_KEYS = {
    "offset", "cluster", "given", "refused", "conditions", "defects", "warnings", "notes", "diff", "statuses", "radius",
    "requests", "envoy", "limits", "code",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data")) as found:
        yield found


def _asked(place: Place, *words: str, given: str | None = None, code: int = 0, envoy: bool = False) -> Any:
    result = place.run("what-if", *words, "-o", "json", *(() if envoy else ("--no-envoy",)), given=given)
    assert result.exit_code == code, result.output
    assert CANARY not in result.output
    return orjson.loads(result.stdout)


def _ends(place: Place) -> dict[str, tuple[int, int]]:
    async def read() -> dict[str, tuple[int, int]]:
        log = KafkaLog(place.brokers, place.prefix)
        return {topic.value: await log.ends(topic, 0) for topic in Topic}

    return asyncio.run(read())


@pytest.mark.kafka
def test_a_service_that_comes_is_told_on_every_level_and_nothing_is_written(place: Place) -> None:
    before = _ends(place)
    found = _asked(place, "-", given=_SERVED, envoy=True)
    assert found.keys() == _KEYS
    assert (found["requests"], found["envoy"], found["code"]) == (None, {"rejected": []}, 0)
    assert found["given"] == {"objects": 1, "put": ["local//Service/default/web"], "deleted": []}
    assert [(one["key"], one["verb"]) for one in found["diff"]["objects"]] == [("local//Service/default/web", "added")]
    assert any("host a.example: / moved from" in one and "to default/web:80" in one for one in found["diff"]["routing"])
    assert any(one["key"].endswith("cluster/kube_default_web_80") for one in found["diff"]["envoy"])
    (status,) = found["statuses"]
    (turned,) = status["conditions"]
    assert status["ref"] == "local/gateway.networking.k8s.io/HTTPRoute/default/good"
    assert (turned["of"], turned["type"]) == ("parent gw", "ResolvedRefs")
    assert (turned["before"]["reason"], turned["after"]["reason"]) == ("BackendNotFound", "ResolvedRefs")
    radius = found["radius"]
    assert (radius["routes"]["of"], len(radius["routes"]["changed"]), radius["routes"]["removed"]) == (2, 1, [])
    assert radius["gateways"] == {
        "of": 1, "share": 1.0, "changed": ["local/gateway.networking.k8s.io/Gateway/default/gw"], "removed": [],
        "added": [],
    }  # fmt: skip
    assert _ends(place) == before


@pytest.mark.kafka
def test_a_person_reads_it(place: Place) -> None:
    text = place.run("what-if", "-", "--level", "routing", given=_MOVED).stdout
    assert "in cluster local, from offset" in text
    assert "1 objects come or change, 0 go" in text
    assert "host b.example: / moved from a redirect" in text
    assert "  routes: 1 of 2 become others, 0 go, 0 come (50.0% of what is served)" in text
    assert "envoy\n" not in text


@pytest.mark.kafka
def test_deletes_and_limits(place: Place) -> None:
    words = ("--delete", "httproute/twice", "--max-routes-removed", "10%", "--max-gateways-changed", "1")
    found = _asked(place, *words, code=5)
    assert found["given"]["deleted"] == ["local/gateway.networking.k8s.io/HTTPRoute/default/twice"]
    assert found["limits"] == [
        {"limit": "--max-routes-removed", "allowed": "10%", "found": 1, "of": 2, "share": 0.5, "exceeded": True},
        {"limit": "--max-gateways-changed", "allowed": "1", "found": 1, "of": 1, "share": 1.0, "exceeded": False},
    ]
    assert "--max-routes-removed 10% is exceeded: 1 of 2 (50.0%)" in place.run("what-if", *words).stdout
    assert _asked(place, "--delete", "httproute/twice", "--max-routes-removed", "50%")["code"] == 0
    assert _asked(place, "--delete", "httproute/twice", "--max-hosts-changed", "0", code=5)["code"] == 5


@pytest.mark.kafka
def test_what_is_there_as_it_is_given_changes_nothing(place: Place) -> None:
    manifests = str(place.data / "manifests")
    found = _asked(place, manifests, code=1)
    # The Service was deleted since; the rest is as the log has it. Route `bad` is given, and not accepted.
    assert found["given"]["put"] == ["local//Service/default/web"]
    assert {one["ref"] for one in found["conditions"]} >= {"HTTPRoute other/bad"}
    assert all(str(place.data) in one["location"] for one in found["conditions"])


@pytest.mark.kafka
def test_as_of_another_moment(place: Place) -> None:
    """The first change set made the Service, which is then there as it is given."""
    assert _asked(place, "-", "--at", "0", given=_SERVED)["offset"] == 0
    assert _asked(place, "--delete", "service/web", "--at", "0")["given"]["deleted"] == ["local//Service/default/web"]


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("kind: [", "stdin:"),
        (_NEW + "---\n" + _NEW, "HTTPRoute default/new stands in stdin:2 already, which counts"),
        (_NEW.replace("{name: new}", "{name: new, annotations: {penstock.dev/cluster: west}}"),
         "HTTPRoute default/new is of cluster west, as its annotation penstock.dev/cluster says: name --cluster west"),
        (_NEW.replace("parentRefs", "parentRef"), "spec.parentRef"),
        ("just words", "a document must be an object"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_and_ends_as_check_does(place: Place, given: str, said: str) -> None:
    found = _asked(place, "-", given=given, code=1)
    assert any(said in f"{one['location']}: {one['message']}" for one in found["refused"]), found["refused"]


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "name manifests, - for standard input, or objects with --delete"),
        (("-", "--requests", "-"), 2, "standard input cannot be both manifests and requests"),
        (("--delete", "httproute/good", "--max-requests-changed", "1"), 2, "name the requests that are meant"),
        (("--delete", "httproute/good", "--envoy", "/nowhere"), 3, "or leave it out with --no-envoy"),
        (("nowhere.yaml",), 3, "there is no file or directory nowhere.yaml"),
        (("--delete", "httproute/god"), 1, "of a name like that there is default/good"),
        (("--delete", "nonsense"), 2, "names no object"),
        (("--delete", "httproute/good", "--max-routes-removed", "ten"), 2, "--max-routes-removed 'ten' is no limit"),
        (("--delete", "httproute/good", "--at", "999"), 1, "there is no offset 999"),
        (("--delete", "httproute/good", "--at", "1970-01-01T00:00"), 1, "the log begins later than that"),
        (("--delete", "httproute/good", "--cluster", "west"), 1, "there is no HTTPRoute at all"),
    ],
)
def test_wrong_words(place: Place, words: tuple[str, ...], code: int, said: str) -> None:
    result = place.run("what-if", *words)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.kafka
@pytest.mark.parametrize("base", ["https://[::1", "https://h:99999", "https://h:0", "ftp://h", "h", ""])
def test_a_base_that_is_none(base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = tmp_path / "asked"
    asked.write_text("GET http://a.example/\n")
    with pytest.raises(SystemExit) as ended:
        sample(str(asked), base)
    assert ended.value.code == 2
    assert f"--base {base!r} is no URL: write it as in https://shop.example.com:8443" in capsys.readouterr().err


@pytest.mark.kafka
def test_requests_that_are_answered_otherwise(place: Place, tmp_path: Path) -> None:
    sample = tmp_path / "requests"
    sample.write_text(
        "# two of these\n\nGET http://b.example:8080/x -H 'x-env: test'\nhttp://a.example:8080/\n"
        '{"method": "POST", "authority": "b.example", "path": "/y"}\n'
        '[2026-11-24T12:00:00.000Z] "GET /z HTTP/1.1" 302 - 0 0 1 - "-" "curl/8" "id" "b.example" "-"\n'
        'b.example 127.0.0.1 - - [24/Nov/2026:12:00:00 +0000] "GET /z HTTP/1.1" 302 0 "-" "curl/8"\n'
        'nonsense of a bot\n'
    )
    result = place.run("what-if", "-", "--no-envoy", "--requests", str(sample), "-o", "json", given=_MOVED)
    assert "line 8: 'nonsense of a bot' is no request" in result.stderr
    found = orjson.loads(result.stdout)["requests"]
    assert (found["of"], found["changed"], found["passed_over"]) == (5, 4, 1)
    first = found["answers"][0]
    assert (first["request"], first["port"]) == ("GET http://b.example:8080/x -H 'x-env: test'", 8080)
    told = [first[when]["outcomes"][0] for when in ("before", "after")]
    assert [one["to"] for one in told] == ["http://c.example:8080/x", "http://d.example:8080/x"]
    assert [(one["kind"], one["status"], one["route"]) for one in told] == [("redirected", 302, "HTTPRoute default/twice")] * 2
    limited = ("--requests", str(sample), "--max-requests-changed", "75%", "--no-envoy")
    result = place.run("what-if", "-", *limited, given=_MOVED)
    assert result.exit_code == 5
    assert "--max-requests-changed 75% is exceeded: 4 of 5 (80.0%)" in result.stdout
    sample.write_text("nonsense of a bot\n")
    result = place.run("what-if", "-", "--requests", str(sample), given=_MOVED)
    assert result.exit_code == 2
    assert "holds no request" in result.stderr


@pytest.mark.kafka
def test_the_same_object_cannot_come_and_go(place: Place, tmp_path: Path) -> None:
    (tmp_path / "route.yaml").write_text(_MOVED)
    result = place.run("what-if", str(tmp_path), "--delete", "httproute/twice")
    assert result.exit_code == 2
    assert "HTTPRoute twice is to be deleted, and stands in" in result.stderr


_OLDEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s, creationTimestamp: "1999-01-01T00:00:00Z"}
spec:
  parentRefs: [{name: gw}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: d.example}}]}]
"""


@pytest.mark.parametrize(
    ("source", "coming", "staying"),
    [
        ("files", "1999-01-01T00:00:00Z", "1999-01-01T00:00:00Z"),
        ("kubernetes", "now", "2026-01-01T00:00:00.000Z"),
    ],
)
def test_an_api_server_says_how_old_an_object_is(tmp_path: Path, source: str, coming: str, staying: str) -> None:
    """Of two routes for the same requests the older one serves: a manifest that was exported elsewhere cannot be older."""
    engine = Engine(_SEALER)
    engine.apply(replace(change_set(gateway(), route("known", path="/pay")), source=source), 0)
    manifests = tmp_path / "all.yaml"
    manifests.write_text(_OLDEST % "new" + "---" + _OLDEST % "known")
    begun = now()
    found = proposal(engine, _SEALER, [str(manifests)], [], "local")
    times = {ref.name: one.object["metadata"]["creationTimestamp"] for ref, one in _puts(found)}
    assert times["known"] == staying
    assert begun <= times["new"] <= now() if coming == "now" else times["new"] == coming
    assert [one.object["metadata"]["generation"] for _, one in _puts(found)] == [2, 1]


def _puts(found: Proposal) -> list[tuple[Ref, Put]]:
    return sorted((one.ref, one) for one in found.change_set.changes if isinstance(one, Put))
