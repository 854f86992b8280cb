"""penstock's public topics for programs of others: `async for change in routes("kafka:9092")`. It writes nothing."""

from streams.client.following import (
    BEGINNING,
    NOW,
    Change,
    Event,
    Source,
    UnknownToken,
    Where,
    changes,
    changes_now,
    graph,
    routes,
    updates,
    updates_now,
)
from streams.client.sentences import sentences
from streams.client.values import Backend, ChangeSet, Gateway, Listener, Node, Route, Update

__all__ = [
    "BEGINNING",
    "NOW",
    "Backend",
    "Change",
    "ChangeSet",
    "Event",
    "Gateway",
    "Listener",
    "Node",
    "Route",
    "Source",
    "UnknownToken",
    "Update",
    "Where",
    "changes",
    "changes_now",
    "graph",
    "routes",
    "sentences",
    "updates",
    "updates_now",
]
