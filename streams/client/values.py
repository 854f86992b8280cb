"""What the records of the public topics say, as values: the JSON Schemas in docs/reference/schemas are made from here.

Unknown fields are passed over, and what earlier versions did not write has a default: so any reader reads any record
of its schema's version.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Refs = Annotated[str, Field(pattern=r"^[^/]*/[^/]*/[^/]*/[^/]*/[^/]*$")]
"""An object: cluster/group/kind/namespace/name; group and namespace may be empty."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PathMatch(_Value):
    """`type` is Exact, PathPrefix or RegularExpression."""

    type: str
    value: str


class ValueMatch(_Value):
    """What a header or a query parameter must be. `type` is Exact or RegularExpression."""

    name: str
    value: str
    type: str = "Exact"

    def __str__(self) -> str:
        return f"{self.name} ~ {self.value}" if self.type == "RegularExpression" else f"{self.name}: {self.value}"


class Match(_Value):
    """What a request must be like. What earlier versions wrote has no headers and query parameters."""

    path: PathMatch
    method: str | None = None
    headers: tuple[ValueMatch, ...] = ()
    query_params: tuple[ValueMatch, ...] = Field((), alias="queryParams")

    def __str__(self) -> str:
        """As `penstock diff` says it (engine.history.routing): "/pay GET with header x-canary: 1 and query q ~ a.*"."""
        shape = {"Exact": "= {}", "RegularExpression": "~ {}"}.get(self.path.type, "{}")
        path = shape.format(self.path.value)
        what = f"{path} {self.method}" if self.method else path
        asked = [f"header {one}" for one in self.headers] + [f"query {one}" for one in self.query_params]
        return f"{what} with {' and '.join(asked)}" if asked else what


class Destination(_Value):
    """Where a share of the requests goes: `backend` is object:port, None with a `problem`."""

    backend: str | None = None
    weight: int
    problem: str | None = None


class Rule(_Value):
    """A rule of a route. `replaced`: why its requests get an error instead."""

    matches: tuple[Match, ...] = ()
    backends: tuple[Destination, ...] = ()
    delegates: tuple[str, ...] = ()
    replaced: str | None = None


class Route(_Value):
    """A route that is attached: where it stands and what its rules do. Its name is route/OBJECT."""

    route: Refs
    generation: int
    hostnames: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()
    gateways: tuple[Refs, ...] = ()
    parents: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


class Address(_Value):
    """`type` is IPAddress or Hostname."""

    type: str = "IPAddress"
    value: str


class Gateway(_Value):
    """A Gateway with the addresses that its status has. Its name is gateway/OBJECT."""

    gateway: Refs
    listeners: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()


class Listener(_Value):
    """A listener of a Gateway. Its name is listener/GATEWAY/NAME."""

    gateway: Refs
    name: str
    port: int
    protocol: str
    hostname: str
    attached_routes: int = Field(alias="attachedRoutes")
    serves: bool


class Endpoint(_Value):
    """An address that requests go to."""

    address: str
    port: int
    zone: str | None = None


class Backend(_Value):
    """A backend that a Gateway's routes use. Its name is backend/OBJECT/PORT/GATEWAY."""

    backend: Refs
    port: int
    gateway: Refs
    protocol: str
    endpoints: tuple[Endpoint, ...] = ()


Node = Route | Gateway | Listener | Backend
KINDS: Final[dict[str, type[Route | Gateway | Listener | Backend]]] = {
    "route": Route,
    "gateway": Gateway,
    "listener": Listener,
    "backend": Backend,
}
"""By the first part of a node's name."""


class Changed(_Value):
    """A change of a change set, without contents: a `verb` with what it names."""

    verb: str
    ref: str | None = None
    generation: int | None = None
    location: str | None = None
    gateway: str | None = None
    fragment: str | None = None


class NodeChanged(_Value):
    """A node of the routing graph as it was and as it is; both are absent where it is larger than 64 KiB."""

    node: str
    verb: Literal["added", "changed", "removed"] = "changed"
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class Names(_Value):
    """Names that were set and names that were removed."""

    set: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Downstream(_Value):
    """The names of whatever changed: Envoy's fragments, nodes of the graph, objects with another status."""

    fragments: Names = Names()
    nodes: Names = Names()
    statuses: tuple[str, ...] = ()


class Update(_Value):
    """What one offset changed. A part of it where `parts` is more than 1; whole ones have one."""

    version: int = Field(1, alias="schema")
    offset: int
    time: str = ""
    cluster: str = ""
    source: str = ""
    actor: str = ""
    engine: str = ""
    changes: tuple[Changed, ...] = ()
    routing: tuple[NodeChanged, ...] = ()
    downstream: Downstream = Downstream()
    part: int = 0
    parts: int = 1


class ChangeSet(_Value):
    """A record of the log: who changed what, with the objects themselves (values of Secrets are sealed)."""

    version: int = Field(alias="schema")
    domain: str
    cluster: str
    source: str
    id: str
    time: str
    actor: str
    part: int = 0
    parts: int = 1
    changes: tuple[dict[str, Any], ...]


def node(name: str, value: Any) -> Node | None:
    """The node of a name; None for a kind that this version does not know. Raises ValueError for what is none."""
    kind = KINDS.get(name.split("/", 1)[0])
    return kind.model_validate(value) if kind is not None else None
