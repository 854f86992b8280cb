"""Finds the guilty fragment behind a NACK and makes it a fact of the log; it never touches what is good.

The proxy keeps its last good resource meanwhile. An isolated run of Envoy's validate mode over parts of the rejected
resource tells which fragments no Envoy of that version takes; a proxy that is merely odd punishes nobody else.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration

from engine.envoy.wire import frame
from engine.events import ChangeSet, Quarantine
from engine.update import Fragment, FragmentKind
from streams.codec import encode_change_set
from streams.ports import Log, LogError
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET
from streams.xds.session import Rejection
from streams.xds.stream import Publication, Stream

_LOG = structlog.get_logger()
_KINDS = {
    CLUSTER: FragmentKind.CLUSTER,
    ENDPOINTS: FragmentKind.ENDPOINTS,
    SECRET: FragmentKind.SECRET,
    LISTENER: FragmentKind.LISTENER,
}
_VALIDATE_SECONDS = 30.0
_RETRY_SECONDS = 0.5
_CANNOT_BIND = "cannot bind '"
_BIND_SECONDS = (0.5, 15.0)


@dataclass(slots=True)
class Judge:
    """Takes NACKs one after another. Without an Envoy binary only resources that are one fragment can be judged."""

    log: Log
    publication: Publication
    envoy: Path | None
    now: Callable[[], str]
    domain: str
    partition: int
    _cases: asyncio.Queue[tuple[Stream, Rejection]] = field(default_factory=asyncio.Queue)
    _judged: set[tuple[str, str]] = field(default_factory=set)
    _waits: dict[tuple[str, ...], tuple[float, float]] = field(default_factory=dict)

    async def heard(self, stream: Stream, rejection: Rejection) -> None:
        """A proxy rejected one resource. An address that is taken is nobody's fault: it is tried again."""
        if _CANNOT_BIND in rejection.error:
            self._try_later(stream, rejection)
            return
        _LOG.error(
            "a proxy rejected config",
            proxy=stream.node.id,
            type=rejection.type_url.rpartition(".")[2],
            resources=sorted(rejection.resources),
            error=rejection.error[:500],
        )
        await self._cases.put((stream, rejection))

    def _try_later(self, stream: Stream, rejection: Rejection) -> None:
        """Later and later, as long as the proxy is there."""
        loop = asyncio.get_running_loop()
        place = (stream.node.id, *sorted(rejection.resources))
        last, pause = self._waits.get(place, (0.0, _BIND_SECONDS[0]))
        pause = min(pause * 2, _BIND_SECONDS[1]) if loop.time() - last < 2 * _BIND_SECONDS[1] else _BIND_SECONDS[0]
        self._waits[place] = (loop.time(), pause)
        _LOG.error(
            "a proxy cannot listen: end what holds the address, or give the listener another port",
            proxy=stream.node.id,
            error=rejection.error[:500].strip(),
            again_in=pause,
        )

        def again() -> None:
            stream.session.again(rejection)
            stream.wake.set()

        loop.call_later(pause, again)

    async def run(self) -> None:
        """Judge for ever."""
        while True:
            stream, rejection = await self._cases.get()
            try:
                guilty = await self._guilty(stream, rejection)
            except OSError as error:
                _LOG.error("a rejection cannot be judged: Envoy does not start", reason=str(error))
                continue
            if rejection.type_url == ROUTES and guilty:
                # At once, before the log has it: a proxy that is new would have no routes at all until then.
                self.publication.withhold(stream.node.gateway, guilty)
            fresh = [one for one in guilty if (str(one.key), one.version) not in self._judged]
            if fresh:
                await self._append(stream, rejection, fresh)

    async def _guilty(self, stream: Stream, rejection: Rejection) -> list[Fragment]:
        fragments = self.publication.assembly(stream.node.gateway).fragments
        found: list[Fragment] = []
        for name in sorted(rejection.resources):
            if rejection.type_url == ROUTES:
                found += await self._guilty_routes(name, list(fragments.values()))
                continue
            kind = _KINDS[rejection.type_url]
            found += [one for one in fragments.values() if one.key.kind is kind and one.key.name == name]
        return found

    async def _guilty_routes(self, route_config: str, fragments: Sequence[Fragment]) -> list[Fragment]:
        if self.envoy is None:
            return []
        heads = [one for one in fragments if one.key.kind is FragmentKind.ROUTE_CONFIG and one.key.name == route_config]
        hosts = {
            one.key.name: one
            for one in fragments
            if one.key.kind is FragmentKind.VIRTUAL_HOST and one.parent == route_config
        }
        routes = sorted(
            (one for one in fragments if one.key.kind is FragmentKind.ROUTE and one.parent in hosts),
            key=lambda one: str(one.key),
        )
        court = _Court(self.envoy, heads, hosts)
        return await court.guilty([*hosts.values(), *routes])

    async def _append(self, stream: Stream, rejection: Rejection, guilty: Sequence[Fragment]) -> None:
        changes = tuple(
            Quarantine(
                one.key.gateway,
                str(one.key),
                one.version,
                one.provenance,
                rejection.error[:2000],
                stream.node.version,
            )
            for one in guilty
        )
        time = self.now()
        change_set = ChangeSet(
            self.domain, guilty[0].key.gateway.cluster, "publisher", f"quarantine-{time}", time, "publisher", changes
        )
        while True:
            try:
                async with self.log.writer(f"publisher-{self.domain}") as writer:
                    await writer.write(encode_change_set(change_set, self.partition))
            except LogError as error:
                _LOG.warning("a quarantine waits for the log", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._judged |= {(str(one.key), one.version) for one in guilty}
            return


@dataclass(frozen=True, slots=True)
class _Court:
    """Asks Envoy about parts of a RouteConfiguration: half by half, until each bad fragment stands alone."""

    envoy: Path
    heads: Sequence[Fragment]
    hosts: dict[str, Fragment]

    async def guilty(self, suspects: Sequence[Fragment]) -> list[Fragment]:
        if not suspects or await self._accepts(suspects):
            return []
        if len(suspects) == 1:
            return list(suspects)
        middle = len(suspects) // 2
        found = [*await self.guilty(suspects[:middle]), *await self.guilty(suspects[middle:])]
        # Good halves that are bad together (a domain twice): the later one is at fault.
        return found or [suspects[-1]]

    async def _accepts(self, suspects: Iterable[Fragment]) -> bool:
        chosen = list(suspects)
        names = {one.key.name for one in chosen if one.key.kind is FragmentKind.VIRTUAL_HOST}
        routes: dict[str, list[Fragment]] = {}
        for one in chosen:
            if one.key.kind is FragmentKind.ROUTE:
                routes.setdefault(one.parent, []).append(one)
        body = b"".join(one.payload for one in self.heads)
        for name in sorted(names):
            inside = b"".join(frame(3, one.payload) for one in routes.pop(name, []))
            body += frame(2, self.hosts[name].payload + inside)
        for number, group in enumerate(routes[name] for name in sorted(routes)):
            # Routes are judged without their virtual host: one bad host must not make its routes look bad.
            host = frame(1, f"judged-{number}".encode()) + frame(2, f"judged-{number}.invalid".encode())
            body += frame(2, host + b"".join(frame(3, one.payload) for one in group))
        return await validate(self.envoy, body)


async def validate(envoy: Path, route_config: bytes) -> bool:
    """Whether Envoy, started apart from everything, takes an encoded RouteConfiguration."""
    routes = RouteConfiguration.parse(route_config).to_dict()
    with tempfile.TemporaryDirectory(prefix="penstock-judge-") as directory:
        path = Path(directory) / "bootstrap.json"
        path.write_text(json.dumps(_bootstrap(routes)))
        process = await asyncio.create_subprocess_exec(
            envoy, "--mode", "validate", "-c", path, "--log-level", "off", "--disable-hot-restart",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            return await asyncio.wait_for(process.wait(), _VALIDATE_SECONDS) == 0
        except TimeoutError:
            process.kill()
            await process.wait()
            return False


def _bootstrap(routes: dict[str, object]) -> dict[str, object]:
    prefix = "type.googleapis.com/envoy.extensions.filters"
    filters = [
        {"name": f"envoy.filters.http.{name}", "typedConfig": {"@type": f"{prefix}.http.{name}.v3.{message}"}}
        for name, message in (("cors", "Cors"), ("stateful_session", "StatefulSession"), ("router", "Router"))
    ]
    manager = {
        "@type": f"{prefix}.network.http_connection_manager.v3.HttpConnectionManager",
        "statPrefix": "judge",
        "routeConfig": {**routes, "validateClusters": False},
        "httpFilters": filters,
    }
    chain = {"filters": [{"name": "hcm", "typedConfig": manager}]}
    address = {"socketAddress": {"address": "127.0.0.1", "portValue": 1}}
    return {"staticResources": {"listeners": [{"name": "judge", "address": address, "filterChains": [chain]}]}}
