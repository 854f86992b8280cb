"""What is published: an assembly a gateway and the streams that are open over it; no transport, no topics."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.seal import Sealer
from engine.update import Fragment, FragmentKey
from streams.xds.admission import admit
from streams.xds.assembly import Assembly
from streams.xds.messages import Node, Request
from streams.xds.session import Rejection, Session
from streams.xds.trail import Changed


@dataclass(slots=True, eq=False, weakref_slot=True)
class Stream:
    """One open stream. `wake` is set when there may be something to send."""

    node: Node
    session: Session
    publication: Publication
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    reported: int = -1
    _heard: bool = False

    async def received(self, request: Request) -> None:
        """Hand a request to the session."""
        rejection = self.session.received(request)
        first, self._heard = not self._heard, True
        if first and self.publication.on_newcomer is not None and not self.session.came_back:
            self.publication.on_newcomer(self)
        if rejection is not None:
            await self.publication.rejected(self, rejection)
        self.wake.set()

    def responses(self) -> list[bytes]:
        """What to send now; notes what was acknowledged."""
        out = self.session.responses()
        if self.session.acknowledged > self.reported:
            self.reported = self.session.acknowledged
            self.publication.acknowledged(self)
        return out


@dataclass(frozen=True, slots=True)
class Report:
    """What a proxy said: `event` is connected, ack, nack or disconnected; `offset` the last it acknowledged whole.

    `unconfirmed` is what was found of a nack: no isolated Envoy rejects the same.
    """

    event: str
    node: Node
    offset: int
    rejection: Rejection | None = None
    trace: str = ""
    """The traceparent of the change that it is about; "" for none that is known."""
    seconds: float | None = None
    """Of an acknowledgement: since the oldest change in it was said; None where there is none that is known."""


class Publication:
    """All gateways of a domain. `report` hears what proxies say and must not block; the key is from `key_file`."""

    def __init__(self, sealer: Sealer, report: Callable[[Report], None], key_file: str = "") -> None:
        self._sealer = sealer
        self._key_file = key_file
        self._report = report
        self._assemblies: dict[str, Assembly] = {}
        self._streams: dict[str, set[Stream]] = defaultdict(set)
        self._loaded = asyncio.Event()
        self._offset = -1
        self._may_be_old = True
        """Nothing was heard from the log yet."""
        self._moved = asyncio.Event()
        self.on_rejection: Callable[[Stream, Rejection], Awaitable[None]] | None = None
        self.on_newcomer: Callable[[Stream], None] | None = None
        """Hears of proxies that have nothing yet, and sets an end to their waiting; None lets none wait."""

    def assembly(self, gateway: str) -> Assembly:
        """The assembly of a gateway, empty when it is not known (yet)."""
        found = self._assemblies.get(gateway)
        if found is None:
            found = self._assemblies[gateway] = Assembly(self._sealer)
            # Up to here nothing was published of it, and who has nothing has it all.
            found.offset = self._offset
        return found

    @property
    def is_loaded(self) -> bool:
        """Whether there is a state to serve: the log's, or the last one that was."""
        return self._loaded.is_set()

    def admit(self, fragment: Fragment) -> None:
        """Raises Garbage for what `apply` could not serve."""
        admit(fragment, self._sealer, self._key_file)

    def keys(self) -> set[FragmentKey]:
        """All fragments that are served."""
        return {key for assembly in self._assemblies.values() for key in assembly.fragments}

    def fragments(self) -> list[Fragment]:
        """All of them, as they are now."""
        return [one for assembly in self._assemblies.values() for one in assembly.fragments.values()]

    def restore(self, fragments: Mapping[FragmentKey, Fragment], offset: int) -> None:
        """Set what was on disk, for proxies that start; others wait for the log. It changes nothing after `apply`."""
        if self._may_be_old:
            self._apply(fragments, offset)

    def apply(self, rows: Mapping[FragmentKey, Fragment | None], offset: int) -> None:
        """Set and remove fragments as the log says, then wake the streams that they concern."""
        if self._may_be_old:
            self._may_be_old = False
            for stream in (one for streams in self._streams.values() for one in streams):
                stream.session.may_be_old = False
                stream.wake.set()
        self._apply(rows, offset)

    def _apply(self, rows: Mapping[FragmentKey, Fragment | None], offset: int) -> None:
        by_gateway: dict[str, dict[FragmentKey, Fragment | None]] = defaultdict(dict)
        for key, fragment in rows.items():
            by_gateway[str(key.gateway)][key] = fragment
        for gateway, mine in by_gateway.items():
            changed = self.assembly(gateway).apply(mine, offset)
            for stream in self._streams[gateway]:
                stream.session.changed(changed)
                stream.wake.set()
        self._offset = max(self._offset, offset)
        self._loaded.set()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    @property
    def offset(self) -> int:
        """The last that is served, -1 before any."""
        return self._offset

    async def reached(self, offset: int) -> None:
        """Wait until it is served."""
        while self._offset < offset:
            await self._moved.wait()

    def open_streams(self) -> tuple[int, int]:
        """How many streams are open, and how many of them have not acknowledged all that is served to them."""
        streams = [one for some in self._streams.values() for one in some]
        behind = [one for one in streams if one.session.acknowledged < self.assembly(one.node.gateway).offset]
        return len(streams), len(behind)

    def withhold(self, gateway: str, guilty: Sequence[Fragment]) -> None:
        """Serve a gateway without fragments that no Envoy takes, until the log says what to do with them."""
        self._wake(gateway, self.assembly(gateway).withhold(guilty))

    def release(self, key: FragmentKey) -> None:
        """Serve what was withheld: its proxies run another Envoy now."""
        gateway = str(key.gateway)
        self._wake(gateway, self.assembly(gateway).release(key))

    def _wake(self, gateway: str, changed: set[Changed]) -> None:
        for stream in self._streams[gateway] if changed else ():
            stream.session.changed(changed)
            stream.wake.set()

    def is_open(self, stream: Stream) -> bool:
        """Whether the stream has not ended yet."""
        return stream in self._streams[stream.node.gateway]

    async def open(self, node: Node) -> Stream:
        """A stream for a proxy; waits until something was ever loaded: an empty answer would take its config away."""
        await self._loaded.wait()
        waits, is_old = self.on_newcomer is not None, self._may_be_old
        session = Session(self.assembly(node.gateway), node.elsewhere, may_be_old=is_old, waits=waits)
        stream = Stream(node, session, self)
        self._streams[node.gateway].add(stream)
        self._report(Report("connected", node, -1))
        return stream

    async def close(self, stream: Stream) -> None:
        """The stream ended."""
        self._streams[stream.node.gateway].discard(stream)
        if not any(other.node[:2] == stream.node[:2] for other in self._streams[stream.node.gateway]):
            self._report(Report("disconnected", stream.node, stream.session.acknowledged))

    def acknowledged(self, stream: Stream) -> None:
        """A proxy acknowledged everything up to an offset."""
        self._report(Report("ack", stream.node, stream.session.acknowledged))

    def versions(self, gateway: str) -> frozenset[str]:
        """The Envoy versions of a gateway's connected proxies; "" where one does not say."""
        return frozenset(stream.node.version for stream in self._streams[gateway])

    def acquitted(self, stream: Stream, rejection: Rejection) -> None:
        """Nothing but the proxy's word speaks against what it rejected."""
        self._report(Report("unconfirmed", stream.node, stream.session.acknowledged, rejection))

    async def rejected(self, stream: Stream, rejection: Rejection) -> None:
        """A proxy rejected a resource."""
        self._report(Report("nack", stream.node, stream.session.acknowledged, rejection))
        if self.on_rejection is not None:
            await self.on_rejection(stream, rejection)
