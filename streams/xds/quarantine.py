"""Finds the guilty fragment behind a NACK and makes it a fact of the log; it never touches what is good.

The proxy keeps its last good resource meanwhile. An isolated Envoy tells which fragments none of its version takes; a
proxy that is merely odd punishes nobody else, and that is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import structlog

from engine.events import Quarantine
from engine.ref import Ref
from engine.update import Fragment, FragmentKey, FragmentKind, parse_fragment_key
from streams.backoff import Backoff
from streams.ports import LogError
from streams.reminder import Reminder, Reminders
from streams.xds.address import Waits, remedy, taken
from streams.xds.assembly import Assembly
from streams.xds.bench import Bench, Verdicts
from streams.xds.court import Court
from streams.xds.docket import Case, Docket
from streams.xds.lift import Quarantines, lifts, quarantines
from streams.xds.lineup import together
from streams.xds.messages import LISTENER, ROUTES, Node
from streams.xds.parts import head, parts, untried
from streams.xds.session import Rejection
from streams.xds.stream import Publication, Stream
from streams.xds.trail import Changed

_LOG = structlog.get_logger()
_NAMED = 1_000
"""Objects that a quarantine names at most: it is one record."""


@dataclass(slots=True)
class Judge:
    """Takes NACKs one after another, and looks through old verdicts when proxies of another Envoy come."""

    bench: Bench
    publication: Publication
    _docket: Docket = field(default_factory=Docket)
    _verdicts: Verdicts = field(init=False)
    _moved: set[str] = field(default_factory=set)
    """Gateways whose proxies came or went since the last look."""
    _judged: dict[FragmentKey, tuple[Fragment, str, int]] = field(default_factory=dict)
    """What was told to the log, of which Envoy, and at which offset: a fragment as it is, not an equal one of later."""
    _taken: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By gateway, type and name the version that an isolated Envoy took last: who rejects it is odd, however often."""
    _waits: Waits = field(default_factory=Waits)
    _are_returning: bool = False
    """Whether proxies that were there before this publisher may still be on their way."""
    _version: str = ""
    """Of the Envoy that is asked, once it was needed."""
    _backoff: Backoff = field(default_factory=Backoff)
    _next_look: asyncio.TimerHandle | None = None
    """At old verdicts, while the log is away: one at a time, however many proxies come and go meanwhile."""
    _pauses: WeakKeyDictionary[Stream, Backoff] = field(default_factory=WeakKeyDictionary)
    """Before a case of theirs is tried again that could not be judged; of a stream that ended its case may be gone."""
    _reminder: Reminder = field(default_factory=Reminder)
    _told: Reminders = field(default_factory=Reminders)
    """What was said of proxies: one that rejects in a loop must not drown what is said of others."""

    def __post_init__(self) -> None:
        self._verdicts = Verdicts(self.bench, self._docket.review)

    async def heard(self, stream: Stream, rejection: Rejection) -> None:
        """A proxy rejected one resource. An address that is taken is nobody's fault: it is tried again."""
        if rejection.type_url == LISTENER and taken(rejection.error):
            self._try_later(stream, rejection)
            return
        if self._is_news("rejected", stream, rejection):
            _LOG.error(
                "a proxy rejected a removal, so there is nothing to judge: it may hold what is gone, look at that proxy"
                if rejection.is_removal
                else "a proxy rejected config",
                proxy=stream.node.id,
                type=rejection.type_url.rpartition(".")[2],
                resources=sorted(rejection.resources),
                error=rejection.error[:500],
            )
        if not rejection.is_removal:
            self._docket.put(Case(stream, rejection))

    def _is_news(self, what: str, stream: Stream, rejection: Rejection) -> bool:
        """Whether it was not said just now, of the same versions: the words may hold what differs each time."""
        about = (what, stream.node.gateway, stream.node.id, rejection.type_url, *sorted(rejection.resources))
        return self._told.is_due(about, repr(sorted(rejection.resources.items())))

    def _try_later(self, stream: Stream, rejection: Rejection) -> None:
        """Later and later, as long as the proxy is there."""
        loop = asyncio.get_running_loop()
        pause = self._waits.next((stream.node.id, *sorted(rejection.resources)), loop.time())
        if self._is_news("cannot listen", stream, rejection):
            _LOG.error(
                f"a proxy cannot listen: {remedy(rejection.error)}",
                gateway="/".join(stream.node.gateway.split("/")[-2:]),
                address=taken(rejection.error),
                proxy=stream.node.id,
                error=rejection.error[:500].strip(),
                again_in=pause,
            )

        def again() -> None:
            stream.session.again(rejection)
            stream.wake.set()

        loop.call_later(pause, again)

    def moved(self, node: Node) -> None:
        """A proxy came or went: what its gateway holds in quarantine may be of an Envoy that is gone."""
        self._moved.add(node.gateway)
        self._docket.review()

    async def run(self) -> None:
        """Judge for ever."""
        self._are_returning = self.bench.returning > 0
        asyncio.get_running_loop().call_later(self.bench.returning, self._have_returned)
        while True:
            case = await self._docket.next()
            if case is None:
                await self._review()
            else:
                await self._judge(*case)

    async def _judge(self, stream: Stream, rejection: Rejection) -> None:
        if not stream.session.refuses(rejection):
            self._pauses.pop(stream, None)
            return  # Replaced meanwhile: what it says of what came since is a case of its own.
        try:
            guilty = await self._guilty(stream, rejection)
        except OSError as error:
            self._judge_later(stream, rejection, str(error))
            return
        self._pauses.pop(stream, None)
        if not guilty:
            await self._acquit(stream, rejection)
            return
        self._docket.settle(Case(stream, rejection))
        if rejection.type_url == ROUTES:
            # At once, before the log has it: a proxy that is new would have no routes at all until then.
            self.publication.withhold(stream.node.gateway, guilty)
        fresh = [one for one in guilty if not self._is_told(one, stream.node.version)]
        if fresh:
            fragments = self.publication.assembly(stream.node.gateway).fragments.values()
            found = [_quarantine(one, fragments, stream, rejection) for one in fresh]
            offset = await self._verdicts.say([replace(one, address=self.bench.bind) for one in found])
            self._judged |= {one.key: (one, stream.node.version, offset) for one in fresh}

    def _is_told(self, guilty: Fragment, version: str) -> bool:
        told = self._judged.get(guilty.key)
        return told is not None and told[0] is guilty and told[1] == version

    def _judge_later(self, stream: Stream, rejection: Rejection, reason: str) -> None:
        """While the proxy is there and refuses it: else a bad object would be found by the next proxy only."""
        if not self.publication.is_open(stream) or not stream.session.refuses(rejection):
            self._pauses.pop(stream, None)
            return
        if self._reminder.is_due(reason):
            _LOG.error("a rejection cannot be judged now: nothing is quarantined, it is tried again", reason=reason)
        pause = self._pauses.setdefault(stream, Backoff()).pause()
        asyncio.get_running_loop().call_later(pause, self._docket.put, Case(stream, rejection))

    async def _acquit(self, stream: Stream, rejection: Rejection) -> None:
        """Nobody else is punished; the proxy keeps its last good resource, and people are told to look at it."""
        if not stream.session.refuses(rejection):
            return  # Replaced meanwhile.
        if self._is_news("acquitted", stream, rejection):
            isolated = await self._isolated()
            _LOG.error(
                _acquittal(isolated, stream.node.version, is_asked=self.bench.court is not None),
                proxy=stream.node.id,
                envoy=stream.node.version,
                isolated=isolated,
                type=rejection.type_url.rpartition(".")[2],
                resources=sorted(rejection.resources),
            )
        self.publication.acquitted(stream, rejection)

    async def _isolated(self) -> str:
        """The version of the Envoy that is asked; "" where it is not known."""
        if self.bench.court is not None and not self._version:
            with suppress(OSError):
                self._version = await self.bench.court.version()
        return self._version

    async def _guilty(self, stream: Stream, rejection: Rejection) -> list[Fragment]:
        found = []
        for name in sorted(rejection.resources):
            found += await self._guilty_of((rejection.type_url, name), stream.node)
        return found

    async def _guilty_of(self, resource: Changed, node: Node) -> list[Fragment]:
        court, assembly = self.bench.court, self.publication.assembly(node.gateway)
        now = _version(assembly, resource, node.elsewhere)
        if court is None or self._taken.get((node.placement, *resource)) == now:
            return []
        if resource[0] == ROUTES:
            # What a proxy took cannot be it: what changed since is asked alone, and all only when that is not it.
            recent = untried(assembly, resource)
            if recent and (found := await _guilty_routes(court, recent, head(assembly, node.gateway, resource[1]))):
                return found
        accused, version = parts(assembly, resource), _version(assembly, resource, node.elsewhere)
        if resource[0] == ROUTES:
            found = await _guilty_routes(court, accused, accused)
        else:
            found = await self._refused(court, accused, node)
        if not found:
            self._taken[node.placement, *resource] = version
        return found

    async def _refused(self, court: Court, accused: Sequence[Fragment], node: Node) -> list[Fragment]:
        """Which of them an isolated Envoy refuses; what was told of the same Envoy already is known."""
        unknown = [one for one in accused if not self._is_told(one, node.version)]
        answers = await together(court.refuses(one) for one in unknown)
        acquitted = [one for one, is_refused in zip(unknown, answers, strict=True) if not is_refused]
        return [one for one in accused if one not in acquitted]

    async def _review(self) -> None:
        """Lift quarantines of an Envoy that no proxy of theirs runs any more, or of an address; proxies judge anew."""
        moved = await self._verdicts.again()
        if moved:
            self._judged = {key: (*one[:2], moved.get(one[2], one[2])) for key, one in self._judged.items()}
        if not self._moved or self._next_look is not None:
            return
        await asyncio.sleep(0)  # Proxies that come together are looked at together.
        gateways, self._moved = self._moved, set()
        # One that is on its way back may be of any version.
        unknown = frozenset({""} if self._are_returning else ())
        connected = {one: self.publication.versions(one) for one in gateways}
        running = {one: versions | unknown for one, versions in connected.items() if versions}
        try:
            there = await quarantines(self.bench.log, self.bench.partition)
        except LogError as error:
            _LOG.debug("a look at quarantines waits for the log", reason=str(error))
            self._moved |= gateways
            self._next_look = asyncio.get_running_loop().call_later(self._backoff.pause(), self._look_again)
            return
        self._backoff.reset()
        self._moved |= gateways if self._are_returning else set()
        self._forget(there)
        found = lifts(there.rows.values(), running, self.bench.bind)
        for one in found:
            _LOG.info("a quarantine is lifted: its proxies run another Envoy or address now", fragment=one.fragment)
        if found:
            await self._verdicts.say(found)
        for one in found:
            key = parse_fragment_key(one.fragment)
            self._judged.pop(key, None)
            self.publication.release(key)

    def _look_again(self) -> None:
        self._next_look = None
        self._docket.review()

    def _have_returned(self) -> None:
        self._are_returning = False
        self._docket.review()

    def _forget(self, there: Quarantines) -> None:
        """What somebody else lifted is judged again when it is rejected again, though it is the same."""
        for key, (_, _, offset) in list(self._judged.items()):
            if offset <= there.offset and str(key) not in there.rows:
                del self._judged[key]


def _acquittal(isolated: str, rejected: str, *, is_asked: bool) -> str:
    """What is said where nobody but a proxy rejects something."""
    if not is_asked:
        return "no Envoy is there to confirm what a proxy rejected, so nothing is quarantined: set PENSTOCK_ENVOY"
    if isolated and rejected and isolated != rejected:
        return (
            "an isolated Envoy of another version takes what a proxy rejected, so nothing is quarantined: "
            "upgrade that proxy, or name an Envoy of its version in PENSTOCK_ENVOY"
        )
    return "an isolated Envoy takes what a proxy rejected, so nothing is quarantined: look at that proxy"


def _quarantine(guilty: Fragment, fragments: Iterable[Fragment], stream: Stream, rejection: Rejection) -> Quarantine:
    key = guilty.key
    words = rejection.error[:2000]
    return Quarantine(key.gateway, str(key), guilty.version, _objects(guilty, fragments), words, stream.node.version)


def _objects(guilty: Fragment, fragments: Iterable[Fragment]) -> tuple[tuple[Ref, int], ...]:
    """What it was derived from. Of a virtual host that is whatever shares it: the Gateway, and the routes in it.

    It is looked for here, and not known to each virtual host: that would cost every change of a route all its routes.
    """
    if guilty.provenance or guilty.key.kind is not FragmentKind.VIRTUAL_HOST:
        return guilty.provenance
    found: dict[Ref, int] = {}
    for one in fragments:
        is_head = one.key.kind is FragmentKind.ROUTE_CONFIG and one.key.name == guilty.parent
        if is_head or (one.key.kind is FragmentKind.ROUTE and one.parent == guilty.key.name):
            found |= dict(one.provenance)
    return tuple(sorted(found.items())[:_NAMED])


def _version(assembly: Assembly, resource: Changed, elsewhere: str) -> str:
    """Of what is served; "" for nothing."""
    there = assembly.get(*resource, elsewhere)
    return there.version if there is not None else ""


async def _guilty_routes(court: Court, suspects: Sequence[Fragment], heads: Sequence[Fragment]) -> list[Fragment]:
    """What of a RouteConfiguration is refused: its own bytes, or some of the suspects that stand in it."""
    inside = [one for one in suspects if one.key.kind is not FragmentKind.ROUTE_CONFIG]
    return await court.guilty([one for one in heads if one.key.kind is FragmentKind.ROUTE_CONFIG], inside)
