"""The readings of one fold: what all gateways are served, and for each pinned gateway the one that it alone is.

It keeps no rows. Of a pinned gateway's reading only what is that gateway's own counts, in place of the main one's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from operator import itemgetter
from typing import Any

from engine.graph.reader import QueryFailed, Resource
from engine.layers import is_configuration
from engine.outputs.channels import INFRA, NODE, STATUS, is_lookup
from engine.placement import place_of
from engine.reading import Reading
from engine.ref import Ref, parse_ref
from engine.resolve.gateway import age, attached_sets
from engine.resolve.manifest import PASSED
from engine.resolve.port import TAKEN, Claims, Place, holders, wanted_places
from engine.resolve.settings import EngineSettings
from engine.seal import Sealer
from engine.table import Trunk
from engine.update import Delta

Frozen = Callable[[str], Mapping[Ref, Resource | None]]
"""The configuration, by pin, that is not as in the main reading; None for what is not there."""
PinOf = tuple[str, int]
"""A pin and the offset that it is of: its id may be used again."""


class Readings:
    """One reading `main`, and one for each pin of a gateway."""

    def __init__(self, sealer: Sealer, settings: EngineSettings) -> None:
        self.main = Reading(sealer, settings)
        self._made_of = (sealer, settings)
        self._pinned: dict[PinOf, tuple[str, Reading]] = {}
        """By pin: the Gateway, and its reading."""
        self._were: dict[str, Reading] = {}
        """By Gateway, as of the last `clear`."""

    def fork(self, trunk: Trunk) -> Readings:
        """Readings that begin as these, which must be settled; nothing has changed yet since a `clear`."""
        fork: Readings = copy(self)
        fork.main = self.main.fork(trunk)
        fork._pinned = {pin: (gateway, reading.fork(trunk)) for pin, (gateway, reading) in self._pinned.items()}
        fork._were = fork._now()
        return fork

    # -- what queries see -------------------------------------------------------------------------------------------

    def state(self, fact: str, value: Any) -> None:
        """Let queries see a fact; None for one that is true no longer."""
        self.main.state(fact, value)
        for _, reading in self._pinned.values():
            reading.state(fact, value)

    def show(self, ref: Ref, resource: Resource | None) -> None:
        """Let queries see a resource, None for that it is not there: configuration only those that are not pinned."""
        self.main.show(ref, resource)
        for gateway, reading in self._pinned.values():
            # A namesake elsewhere takes the place of its proxies there, now as then.
            is_namesake = ref.kind == "Gateway" and _is_called(ref, gateway) and str(ref) != gateway
            if is_namesake or not is_configuration(ref):
                reading.show(ref, resource)

    def show_pinned(self, gateway: str, ref: Ref, resource: Resource | None) -> None:
        """Let the queries of a pinned Gateway see a resource otherwise than the others."""
        for of, reading in self._pinned.values():
            if of == gateway:
                reading.show(ref, resource)

    def sync(self, pins: Mapping[PinOf, str], frozen: Frozen) -> None:
        """Read for these pins, Gateway by pin, and for no others."""
        for pin in self._pinned.keys() - pins.keys():
            del self._pinned[pin]
        for pin, gateway in sorted(pins.items()):
            if pin not in self._pinned:
                self._pinned[pin] = gateway, self._read(gateway, frozen(pin[0]))

    def _read(self, gateway: str, frozen: Mapping[Ref, Resource | None]) -> Reading:
        reading = Reading(*self._made_of)
        resources, facts = self.main.graph.inputs()
        seen: dict[Ref, Resource | None] = {**resources, **frozen}
        for fact, value in sorted(facts.items()):
            if not fact.startswith(PASSED):
                reading.state(fact, value)
        for ref, resource in sorted(seen.items(), key=itemgetter(0)):
            # No gateway reads another one (see `_divide`), but for its namesakes elsewhere: what those have is not
            # made twice.
            if resource is not None and (ref.kind != "Gateway" or _is_called(ref, gateway)):
                reading.show(ref, resource)
        return reading

    def settle(self, tick: str) -> None:
        """Settle all of them; see `Reading.settle`."""
        self.main.settle(tick)
        if self._pinned and self._made_of[1].shared_address:
            self._divide()
        for _, reading in self._pinned.values():
            reading.settle(tick)

    def _divide(self) -> None:
        """Say which ports of then are no longer a pinned Gateway's: another one has them now, or an older pinned one.

        Else two proxies would listen on one port, and the address be nobody's for sure.
        """
        every = [(parse_ref(gateway), reading.graph) for gateway, reading in self._pinned.values()]
        pinned, theirs = frozenset(gateway for gateway, _ in every), dict[Place, Ref]()
        for gateway, graph in sorted(every, key=lambda one: one[1].get(age, one[0])):
            with suppress(QueryFailed):  # Our own fault, never the user's: what was said last stays.
                wanted = graph.get(wanted_places, gateway)
                older = {place: theirs[place] for place in wanted if place in theirs}
                taken = older | self.main.graph.get(holders, Claims(wanted, pinned))
                graph.state_fact(TAKEN, taken)
                theirs |= dict.fromkeys(wanted - taken.keys(), gateway)

    def listener_sets(self, gateway: Ref) -> tuple[Ref, ...]:
        """The ListenerSets that a Gateway lets in, of which the main reading tells the status."""
        return self.main.graph.get(attached_sets, gateway)

    # -- what is told -----------------------------------------------------------------------------------------------

    def item(self, channel: str, name: str) -> Any:
        """What is wanted under a name, None for nothing."""
        for reading in self._told_by(channel, name, self._now()):
            found = reading.derived.items[channel].get(name)
            if found is not None:
                return found
        return None

    def items(self, channel: str) -> dict[str, Any]:
        """All that is wanted."""
        found = dict(self.main.derived.items[channel])
        now = self._now()
        if not now:
            return found
        names = found.keys() | {one for reading in now.values() for one in reading.derived.items[channel]}
        told = {name: self.item(channel, name) for name in names}
        return {name: value for name, value in told.items() if value is not None}

    def delta(self, channel: str) -> Delta:
        """What differs in a channel since the last `clear`."""
        now = self._now()
        if not now and not self._were:
            return self.main.derived.delta(channel)
        changed, removed = {}, set()
        for name in sorted(self._touched(channel, now)):
            before = [one.derived.was(channel, name) for one in self._told_by(channel, name, self._were)]
            old, new = next((one for one in before if one is not None), None), self.item(channel, name)
            if new is None and old is not None:
                removed.add(name)
            elif new != old:
                changed[name] = new
        return Delta(changed, frozenset(removed))

    def clear(self) -> list[str]:
        """Begin anew; answers the warnings."""
        self._were = self._now()
        return [one for reading in (self.main, *self._were.values()) for one in reading.derived.clear()]

    def next(self, tick: str) -> str | None:
        """The first deadline after a time."""
        every = (self.main, *self._now().values())
        return min((at for one in every if (at := one.derived.deadlines.next(tick)) is not None), default=None)

    def _now(self) -> dict[str, Reading]:
        return dict(self._pinned.values())

    def _touched(self, channel: str, now: Mapping[str, Reading]) -> set[str]:
        every = {id(one): one for one in (self.main, *now.values(), *self._were.values())}
        found = {name for one in every.values() for name in one.derived.touched(channel)}
        for gateway in now.keys() | self._were.keys():
            if now.get(gateway) is not self._were.get(gateway):
                # Another reading tells of it now: whatever either said may be otherwise.
                for one in (now.get(gateway, self.main), self._were.get(gateway, self.main)):
                    found |= {name for name in one.derived.items[channel] if _is_of(channel, name, gateway)}
                    found |= {name for name in one.derived.items[channel] if is_lookup(name)}
        return found

    def _told_by(self, channel: str, name: str, pinned: Mapping[str, Reading]) -> list[Reading]:
        """The readings whose word counts of a name: the first that has one."""
        if channel == INFRA and is_lookup(name):
            return [self.main, *pinned.values()]
        return [next((one for gateway, one in pinned.items() if _is_of(channel, name, gateway)), self.main)]


def _is_called(ref: Ref, gateway: str) -> bool:
    """Whether a Gateway has that one's name, in whatever cluster."""
    return (ref.namespace, ref.name) == parse_ref(gateway)[-2:]


def _is_of(channel: str, name: str, gateway: str) -> bool:
    """Whether something is a gateway's own: all but the nodes and statuses of what several share."""
    if channel == NODE:
        return name.startswith(f"listener/{gateway}/") or name.endswith(f"/{gateway}")
    if channel == INFRA:
        return place_of(name)[0] == gateway
    return name == gateway or (channel != STATUS and name.startswith(f"{gateway}/"))
