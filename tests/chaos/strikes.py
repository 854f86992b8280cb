"""Which processes are killed, in which order and how soon after one another: decided by a seed alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_HASTY_SHARE = 0.25
_TOGETHER_SECONDS = 0.02
_AFTER_CHANGE_SECONDS = 0.2
_CALM_SECONDS = 1.0
_HASTY_SECONDS = 2.0


class Victim(StrEnum):
    """A process that may be killed; the value tells it from others by its command line, RUN is `penstock run` itself."""

    RESOLVER = r"streams\.cli resolve( |$)"
    PUBLISHER = r"streams\.cli publish( |$)"
    BROKER = r"kafka\.Kafka "
    ENVOY = r"/envoy -c "
    WATCHER = r"streams\.cli watch "
    PROJECTIONS = r"streams\.cli project( |$)"
    DEPLOYER = r"streams\.cli deploy( |$)"
    RUN = r"streams\.cli run "


@dataclass(frozen=True)
class Strike:
    """`victims` die `gap` seconds apart, the first one `after_change` seconds behind some change.

    After a hasty one the next comes within `pause` seconds whether or not changes are served again.
    """

    victims: tuple[Victim, ...]
    after_change: float
    gap: float
    hasty: bool
    pause: float


_DECK = (
    *[(Victim.RESOLVER,)] * 4,
    *[(Victim.PUBLISHER,)] * 3,
    *[(Victim.BROKER,)] * 2,
    *[(Victim.ENVOY,)] * 3,
    (Victim.WATCHER,),
    (Victim.PROJECTIONS,),
    (Victim.DEPLOYER,),
    (Victim.RUN,),
    # What is in the middle of a transaction dies with the broker that is to end it.
    (Victim.BROKER, Victim.RESOLVER),
    (Victim.RESOLVER, Victim.BROKER),
    (Victim.BROKER, Victim.WATCHER),
    (Victim.PUBLISHER, Victim.ENVOY),
)
"""Twenty strikes; a campaign shuffles as many decks as it needs, so that each kind comes about in its share."""


def strikes(seed: int, count: int) -> Iterator[Strike]:
    """The strikes of a campaign."""
    dice = random.Random(seed)
    cards: list[tuple[Victim, ...]] = []
    for _ in range(count):
        if not cards:
            cards = dice.sample(_DECK, len(_DECK))
        hasty = dice.random() < _HASTY_SHARE
        yield Strike(
            cards.pop(),
            dice.uniform(0, _AFTER_CHANGE_SECONDS),
            dice.uniform(0, _TOGETHER_SECONDS),
            hasty,
            dice.uniform(0, _HASTY_SECONDS if hasty else _CALM_SECONDS),
        )
