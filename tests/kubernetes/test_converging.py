"""Whatever a cluster does, and however its watches lag, the log comes to say what it holds, and nothing twice."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import Delete, Put
from engine.models.kinds import BY_NAME
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.kubernetes.cluster import Event, Page, Target, Verb
from streams.kubernetes.reflector import ListRequest, Reflector
from streams.sources.kubernetes.mirror import Mirror
from streams.sources.kubernetes.observed import Observed, observe
from streams.sources.kubernetes.order import CHURN_SECONDS, WAIT_SECONDS
from streams.sources.logged import Logged
from tests.kubernetes.objects import GATEWAY_API, endpoints, route, service

_SEALER = Sealer(bytes(KEY_BYTES))
_KINDS = (("", "Service"), ("discovery.k8s.io", "EndpointSlice"), (GATEWAY_API, "HTTPRoute"))
_LONGEST = max(WAIT_SECONDS, CHURN_SECONDS)


class Shop:
    """An API server, its history, and for each kind somebody who hears of it late."""

    def __init__(self) -> None:
        self.version = 1
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.history: list[tuple[int, str, Event]] = []
        self.logged = Logged()
        self.now = 0.0
        self.start()

    def start(self) -> None:
        """The source starts: it knows what the log says."""
        self.mirror = Mirror(self.logged, "c", [BY_NAME[one] for one in _KINDS], _SEALER)
        self.reflectors: dict[str, Reflector[Observed]] = {}
        self.targets: dict[str, Target] = {}
        for group, kind in _KINDS:
            found = BY_NAME[group, kind]
            self.targets[kind] = Target(group, kind, found.plural, found.versions[0])
            self.reflectors[kind] = Reflector(partial(observe, self.targets[kind], "c", sealer=_SEALER), 2)
        self.listings: dict[str, tuple[int, list[dict[str, Any]]]] = {}

    def write(self, object_: dict[str, Any]) -> None:
        self.version += 1
        key = (object_["kind"], object_["metadata"]["name"])
        verb = Verb.MODIFIED if key in self.objects else Verb.ADDED
        self.objects[key] = self._at(object_)
        self.history.append((self.version, object_["kind"], Event(verb, self.objects[key])))

    def remove(self, kind: str, name: str) -> None:
        object_ = self.objects.pop((kind, name), None)
        if object_ is not None:
            self.version += 1
            self.history.append((self.version, kind, Event(Verb.DELETED, self._at(object_))))

    def deliver(self, kind: str) -> None:
        """One answer: a page, or the next event."""
        reflector = self.reflectors[kind]
        request = reflector.request
        if isinstance(request, ListRequest):
            if not request.token:
                self.listings[kind] = (self.version, [one for (of, _), one in sorted(self.objects.items()) if of == kind])
            version, items = self.listings[kind]
            start = int(request.token or 0)
            end = start + request.limit if request.limit else len(items)
            found = reflector.page(Page(tuple(items[start:end]), str(version), str(end) if end < len(items) else ""))
            if found is not None:
                self.mirror.listed(self.targets[kind], found, self.now)
            return
        for version, of, event in self.history:
            if of == kind and version > int(request.version):
                said = reflector.event(event)
                assert said is not None
                ref, value = said
                self.mirror.seen(ref, value or Observed(), self.now)
                return

    def tell(self) -> None:
        groups = self.mirror.due(self.now)
        for _, changes in groups:
            for change in changes:
                if isinstance(change, Put):
                    assert self.logged.objects.get(change.ref) != change.object, "told twice"
                elif isinstance(change, Delete):
                    assert change.ref in self.logged.objects, "was not there"
            self.logged.take(changes)
        self.mirror.written(groups)
        if not self.mirror.unread:
            self.logged.synced = True
            assert self.mirror.next() > self.now, "asked again at once, for ever"
            assert self.mirror.next() <= self.now + _LONGEST or self.mirror.next() == float("inf")

    def read(self) -> None:
        """All answers that there are."""
        for _ in range(2 * (len(self.history) + len(self.objects) + 3)):
            for _, kind in _KINDS:
                self.deliver(kind)

    def settle(self) -> None:
        self.read()
        self.tell()
        self.now += 2 * _LONGEST
        self.tell()

    def truth(self) -> dict[Ref, Any]:
        return {Ref("c", *_named(one)): one for one in self.objects.values()}

    def _at(self, object_: dict[str, Any]) -> dict[str, Any]:
        stamps = {"resourceVersion": str(self.version), "creationTimestamp": "2026-11-24T10:00:00Z"}
        return {**object_, "metadata": {**object_["metadata"], **stamps, "generation": self.version}}


def _named(object_: dict[str, Any]) -> tuple[str, str, str, str]:
    group = object_["apiVersion"].rpartition("/")[0]
    return group, object_["kind"], object_["metadata"]["namespace"], object_["metadata"]["name"]


_NAMES = st.sampled_from(["a", "b"])
_WRITES = st.one_of(
    st.builds(lambda name, port: service("ns", name, port), _NAMES, st.integers(80, 82)),
    st.builds(lambda name, last: endpoints("ns", name, f"10.0.0.{last}"), _NAMES, st.integers(1, 3)),
    st.builds(lambda name, backend: route("ns", name, backend), _NAMES, _NAMES),
)
_KIND = st.sampled_from([kind for _, kind in _KINDS])
_OLD = st.sampled_from([("Service", "a"), ("EndpointSlice", "a-1"), ("HTTPRoute", "a")])
_STEPS = st.one_of(
    _WRITES.map(lambda one: ("write", one)),
    st.tuples(st.just("remove"), _OLD),
    st.tuples(st.just("deliver"), st.tuples(_KIND, st.integers(1, 3))),
    st.tuples(st.just("tell"), st.sampled_from([0.0, 0.01, 0.06])),
    st.tuples(st.just("gone"), _KIND),
    st.sampled_from([("start", None), ("read", None), ("read", None)]),
)


@settings(max_examples=400)
@given(st.lists(_WRITES, max_size=5), st.lists(_STEPS, max_size=40))
def test_the_log_comes_to_say_what_the_cluster_holds(first: list[Any], steps: list[tuple[str, Any]]) -> None:
    shop = Shop()
    for one in first:
        shop.write(one)
    shop.settle()
    for verb, value in steps:
        match verb:
            case "write":
                shop.write(value)
            case "remove":
                shop.remove(*value)
            case "deliver":
                for _ in range(value[1]):
                    shop.deliver(value[0])
            case "tell":
                shop.now += value
                shop.tell()
            case "gone":
                shop.reflectors[value].gone()
            case "start":
                shop.start()
            case "read":
                shop.read()
    shop.settle()
    truth = shop.truth()
    assert shop.logged.objects.keys() == truth.keys()
    for ref, object_ in truth.items():
        assert shop.logged.objects[ref]["metadata"]["generation"] == object_["metadata"]["generation"]
