"""Lanes: each leads one route after another through its life, one change at a time; what is wanted is written down."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.load import Traffic
from tests.support.traffic import Answer
from tests.support.verdict import NOTHING, History
from tests.support.written import put, route, service

_LINGER = 3
"""Lives for which a dead route goes on being asked for: it must not come back."""
_EDITS = 4


@dataclass
class World:
    """What lanes share: the directory, the ports of the backends be-0 to be-3, and what each target is to answer."""

    manifests: Path
    ports: dict[str, int]
    traffic: Traffic
    histories: dict[str, History] = field(default_factory=dict)
    changes: int = 0

    def backend(self, number: int) -> str:
        """A backend by number, round and round."""
        return f"be-{number % 4}"

    def wants(self, target: str, answer: Answer) -> None:
        """From now on this is right."""
        self.histories.setdefault(target, History()).add(time.monotonic(), answer)

    def change(self, target: str, place: tuple[str, str], answer: Answer) -> None:
        """A change that makes a target answer so is about to be written."""
        self.changes += 1
        self.wants(target, answer)
        self.traffic.tell(changed={target: place})


@dataclass(kw_only=True)
class Lane:
    """What leads a target (asked for at `place`) from change to change."""

    world: World

    @property
    def target(self) -> str:
        raise NotImplementedError

    @property
    def place(self) -> tuple[str, str]:
        return f"{self.target}.example", "/"

    def begin(self) -> None:
        """Let everybody ask for what is not there yet."""
        self.world.wants(self.target, NOTHING)
        self.world.traffic.tell(changed={self.target: self.place})

    def ready(self) -> bool:
        """Whether it may go on: its last change is seen by all."""
        return self.world.traffic.agreed.get(self.target) == self.world.histories[self.target].states[-1][1]

    def advance(self) -> None:
        """Make the next change."""
        raise NotImplementedError

    def renew(self) -> None:
        """Begin anew if this target's life is over; most have no end."""


@dataclass(kw_only=True)
class RouteLane(Lane):
    """Adds a route, edits it (its header; then its backend and its header), deletes it, and goes on with another one.

    With `own_services` each backend is a Service of the route's own file, new with each change and gone with the next:
    clusters come and go with their routes. With `own_host` each route is a virtual host of its own.
    """

    number: int
    own_host: bool
    own_services: bool
    life: int = 0
    step: int = 0
    dead: deque[str] = field(default_factory=deque)

    @property
    def target(self) -> str:
        return f"lane-{self.number}-{self.life}"

    @property
    def place(self) -> tuple[str, str]:
        return (f"{self.target}.example", "/") if self.own_host else ("shared.example", f"/{self.target}")

    def advance(self) -> None:
        """Make the next change of this life."""
        self.step += 1
        file = f"lane-{self.number}.yaml"
        if self.step > _EDITS:
            self.world.change(self.target, self.place, NOTHING)
            (self.world.manifests / file).unlink()
            return
        answer = self._answer()
        name = f"{self.target}-{answer.backend}" if self.own_services else answer.backend
        manifests = [route(self.target, self.place, name, answer.version, rules=2)]
        if self.own_services:
            manifests.append(service(name, self.world.ports[answer.backend]))
        self.world.change(self.target, self.place, answer)
        put(self.world.manifests, file, manifests)

    def _answer(self) -> Answer:
        # The second version changes the header only, later ones the backend and the header together.
        backend = self.world.backend(self.number + self.life + max(self.step, 2))
        return Answer(200, backend, f"{self.target}-v{self.step}")

    def renew(self) -> None:
        """Once a life is over: the next one."""
        if self.step <= _EDITS:
            return
        self.dead.append(self.target)
        if len(self.dead) > _LINGER:
            self.world.traffic.tell(dropped=[self.dead.popleft()])
        self.life, self.step = self.life + 1, 0
        self.begin()


@dataclass(kw_only=True)
class EndpointLane(Lane):
    """Moves the one endpoint of a Service from backend to backend; its route stays as it is."""

    moved: int = 0

    @property
    def target(self) -> str:
        return "moving"

    def advance(self) -> None:
        self.moved += 1
        backend = self.world.backend(self.moved)
        self.world.change(self.target, self.place, Answer(200, backend, "moving"))
        manifests = [route("moving", self.place, "moving", "moving"), service("moving", self.world.ports[backend])]
        put(self.world.manifests, "moving.yaml", manifests)


@dataclass(kw_only=True)
class SocketLane(Lane):
    """Edits the header of a route over which a WebSocket is open: what is open stays as it was answered."""

    edits: int = 0

    @property
    def target(self) -> str:
        return "edited"

    def advance(self) -> None:
        self.edits += 1
        version = f"edited-{self.edits}"
        self.world.change(self.target, self.place, Answer(200, "socket", version))
        put(self.world.manifests, "edited.yaml", [route("edited", self.place, "socket", version)])
