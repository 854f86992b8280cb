"""A stream of changes that goes on whatever is waited for: routes added, edited and deleted, endpoints moved."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.load.lanes import EndpointLane, Lane, RouteLane, World
from tests.support.traffic import Answer
from tests.support.verdict import NOTHING
from tests.support.written import put, route

_PACE_SECONDS = 0.3
_BURST = 3
_BURST_SHARE = 0.1
_LANES = ((True, True), (False, True), (True, False), (False, False))
"""Of each lane: whether its routes have a host of their own, and backends of their own."""

Place = tuple[str, str]


@dataclass(kw_only=True)
class PulseLane(Lane):
    """Edits the header of one route: who wants to know whether changes are served makes one here."""

    beats: int = 0

    @property
    def target(self) -> str:
        return "pulse"

    def advance(self) -> None:
        self.beats += 1
        version = f"pulse-{self.beats}"
        self.world.change(self.target, self.place, Answer(200, "be-0", version))
        put(self.world.manifests, "pulse.yaml", [route("pulse", self.place, "be-0", version)])


@dataclass
class Stream:
    """`places` is where each target that was ever changed is asked for. Changes are made while one waits, in `until`."""

    world: World
    dice: random.Random
    lanes: list[Lane] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    _due: float = 0.0

    def begin(self) -> None:
        """Let everybody ask for what is not there yet."""
        self.lanes = [
            RouteLane(world=self.world, number=at, own_host=host, own_services=services)
            for at, (host, services) in enumerate(_LANES)
        ]
        self.lanes.append(EndpointLane(world=self.world))
        self.pulse = PulseLane(world=self.world)
        for lane in (*self.lanes, self.pulse):
            lane.begin()
            self.places[lane.target] = lane.place

    def until(self, question: Callable[[], object], seconds: float, says: Callable[[], str] = str) -> None:
        """Make changes until it comes true."""
        deadline = time.monotonic() + seconds
        while not question():
            if time.monotonic() > deadline:
                pytest.fail(f"did not come true within {seconds} s; {says()}")
            self._go_on()
            time.sleep(0.005)

    def flow(self, seconds: float) -> None:
        """Make changes for a time."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 30)

    def next_change(self) -> None:
        """Make changes until one was just made."""
        before = self.world.changes
        self.until(lambda: self.world.changes > before, 240)

    def serves_changes(self, seconds: float, says: Callable[[], str]) -> None:
        """Wait, while changes go on, until a change that is made now is what everybody is answered."""
        self.pulse.advance()
        self.until(self.pulse.ready, seconds, lambda: f"a change is not served: {self.unserved()}\n{says()}")

    def is_served(self) -> bool:
        """Whether the last change of every target that changes now is what everybody is answered."""
        return all(lane.ready() for lane in (*self.lanes, self.pulse))

    def unserved(self) -> str:
        """What is answered instead of the last change, in words."""
        agreed = self.world.traffic.agreed
        found = [one.target for one in (*self.lanes, self.pulse) if not one.ready()]
        return ", ".join(f"{one} wants {self.last(one)}, all answered {agreed.get(one)}" for one in found)

    def last(self, target: str) -> Answer:
        """What it is to answer since its last change."""
        history = self.world.histories.get(target)
        return history.states[-1][1] if history is not None else NOTHING

    def _go_on(self) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _PACE_SECONDS * self.dice.uniform(0.5, 1.5)
        for _ in range(_BURST if self.dice.random() < _BURST_SHARE else 1):
            # What is served may change again; while nothing is, the lane that waited longest goes on unseen.
            lane = next((one for one in self.lanes if one.ready()), self.lanes[0])
            lane.renew()
            lane.advance()
            self.places[lane.target] = lane.place
            self.lanes.append(self.lanes.pop(self.lanes.index(lane)))
