"""A log on the real broker that was resolved once: what the read commands read."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from click.testing import Result
from typer.testing import CliRunner

from engine.engine import VERSION, Engine
from engine.events import ChangeSet, Delete, Put, Refused
from engine.ref import Ref
from engine.seal import Sealer
from streams.cli import app
from streams.codec import encode_change_set
from streams.domain import Domain, DomainOptions
from streams.identity import sealing_key
from streams.kafka import KafkaLog
from streams.ports import Outgoing
from streams.sources.manifests import read_directory
from streams.sources.stamp import stamped
from streams.topics import Topic

TIME = "2026-11-24T12:00:00.000Z"
CANARY = "canary-7f3a"
MANIFESTS = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw}}
spec:
  gatewayClassName: penstock
  listeners: [{{name: http, port: 8080, protocol: HTTP}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: good}}
spec:
  parentRefs: [{{name: gw}}]
  hostnames: [a.example]
  rules: [{{backendRefs: [{{name: web, port: 80}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: bad, namespace: other}}
spec:
  parentRefs: [{{name: gw, namespace: default}}]
  rules: [{{backendRefs: [{{name: nobody, port: 80}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: twice}}
spec:
  parentRefs: [{{name: gw, sectionName: http, port: 8080}}, {{name: gw, sectionName: https, port: 9090}}]
  hostnames: [b.example]
  rules: [{{filters: [{{type: RequestRedirect, requestRedirect: {{hostname: c.example}}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{name: "http[1]", port: 80}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: key}}
stringData: {{token: {CANARY}}}
"""


@dataclass(frozen=True)
class Place:
    """Where a resolved log is."""

    brokers: str
    prefix: str
    data: Path

    def run(self, *words: str, given: str | None = None) -> Result:
        """A command on it, with standard input; what went wrong inside is raised."""
        environment = {"PENSTOCK_TOPIC_PREFIX": self.prefix, "PENSTOCK_DATA": str(self.data), "COLUMNS": "240"}
        runner = CliRunner(env=environment)
        result = runner.invoke(app, [*words, "--brokers", self.brokers], input=given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def prints(self, *words: str) -> str:
        """What a command prints that must end well; the whole status ends with 1: not all is as wished here."""
        result = self.run(*words)
        assert result.exit_code in ({0, 1} if words[0] == "status" else {0}), result.output
        return result.stdout

    def tells(self, *words: str) -> object:
        """What a command answers as a value."""
        return yaml.safe_load(self.prints(*words, "-o", "yaml"))


@contextmanager
def resolved(
    broker: str, data: Path, engine: Callable[[Sealer], Engine] = Engine, version: str = VERSION
) -> Iterator[Place]:
    """A domain resolved from manifests, with a deletion and garbage in its log; by another engine, perhaps."""
    place = Place(broker, f"c{uuid.uuid4().hex[:8]}", data)
    asyncio.run(_resolve(place, engine, version))
    yield place


async def _resolve(place: Place, engine: Callable[[Sealer], Engine], version: str) -> None:
    sealer = Sealer(sealing_key(place.data / "keys" / "sealing.key"))
    manifests = place.data / "manifests"
    manifests.mkdir()
    (manifests / "all.yaml").write_text(MANIFESTS)
    reading = read_directory(manifests, "local")
    assert not reading.refused
    puts = tuple(Put(ref, stamped(ref, one.object, None, TIME, sealer)) for ref, one in sorted(reading.objects.items()))
    log = KafkaLog(place.brokers, place.prefix)
    await log.create_topics(1)
    gone = Ref("local", "", "Service", "default", "web")
    async with log.writer("source-local") as writer:
        await writer.write(encode_change_set(_change_set("first", *puts)))
        await writer.write([Outgoing(Topic.CHANGES, 0, b"default", b"{garbage")])
        await writer.write(encode_change_set(_change_set("second", Delete(gone))))
        await writer.write(
            encode_change_set(_change_set("third", Refused("x.yaml:3", None, "a tab where none may be")))
        )
    domain = Domain(log, lambda: engine(sealer), DomainOptions(version=version))
    await domain.acquire()
    await domain.release()


def _change_set(name: str, *changes: Put | Delete | Refused) -> ChangeSet:
    return ChangeSet("default", "local", "files", name, TIME, "all.yaml", changes)


def environment_is_untouched(before: dict[str, str]) -> bool:
    """Commands must not leave settings in the process's environment."""
    return dict(os.environ) == before
