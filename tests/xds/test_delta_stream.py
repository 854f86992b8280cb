"""The property of the publisher: once quiet, each proxy has exactly what is published of what it wants.

On the way nothing breaks before it is made, whatever changed, came late, was rejected, or was cut off.
"""

from __future__ import annotations

import os
from itertools import chain
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams.xds.messages import ORDER
from tests.xds.config import CLUSTERS, HOSTS, TABLES, Certificate, Cluster, Host, Listener, Route
from tests.xds.proxy import FORM, GRUDGED, MEANING, STUCK, WILD
from tests.xds.site import PROXIES, Site

_EXAMPLES = int(os.environ.get("STREAM_EXAMPLES", "150"))

_revisions = st.integers(0, 2)
_marks = st.sampled_from(["", "", "", "", FORM, MEANING, "odd0", STUCK, GRUDGED])
_clusters = st.lists(st.sampled_from(CLUSTERS), max_size=3, unique=True).map(tuple)
_ends = st.none() | st.tuples(_revisions, _marks)
_secrets = st.lists(st.sampled_from(["s0", "s1"]), max_size=2, unique=True).map(tuple)
_tables = st.lists(st.sampled_from(TABLES), min_size=1, max_size=2, unique=True).map(tuple)


def _piece(kind: str, names: tuple[str, ...], shape: Any) -> st.SearchStrategy[Any]:
    return st.tuples(st.tuples(st.just(kind), st.sampled_from(names)), st.one_of(shape, shape, shape, st.none()))


_pieces = st.one_of(
    _piece("cluster", CLUSTERS, st.builds(Cluster, _revisions, _marks, st.sampled_from([False, False, True]), _ends)),
    _piece("listener", ("l0", "l1"), st.builds(Listener, _revisions, _marks, _tables, _secrets)),
    _piece("certificate", ("s0", "s1"), st.builds(Certificate, _revisions, _marks)),
    _piece("host", HOSTS, st.builds(Host, _revisions, _marks, st.sampled_from(TABLES))),
    _piece(
        "route",
        ("r0", "r1", "r2", "r3"),
        st.builds(Route, _revisions, _marks, st.sampled_from(HOSTS), st.sampled_from("01"), _clusters),
    ),
)
_change = st.lists(
    st.tuples(st.sampled_from([0, 0, 1]), _pieces).map(lambda one: (one[0], *one[1])), min_size=1, max_size=4
)
_BASE = [
    (0, ("cluster", "c0"), Cluster(0, "", dns=False, endpoints=(0, ""))),
    (0, ("cluster", "c1"), Cluster(0, "", dns=False, endpoints=None)),
    (0, ("listener", "l0"), Listener(0, "", ("rc0",), ("s0",))),
    (0, ("host", "h0"), Host(0, "", "rc0")),
    (0, ("route", "r0"), Route(0, "", "h0", "0", ("c0",))),
]


@st.composite
def _swap(draw: Any) -> list[Any]:
    """A route goes elsewhere, in the same offset in which its cluster goes, and perhaps its listener changes."""
    old, new = draw(st.permutations(CLUSTERS))[:2]
    shape = st.builds(Cluster, _revisions, _marks, st.just(False), _ends)
    batch: list[Any] = [
        (0, ("cluster", old), None),
        (0, ("cluster", new), draw(shape)),
        (
            0,
            ("route", "r0"),
            Route(
                draw(_revisions),
                draw(_marks),
                "h0",
                "0",
                draw(st.sampled_from([(new,), (new, new, "c2"), ("c2", "c2", new)])),
            ),
        ),
    ]
    if draw(st.booleans()):
        batch.append((0, ("listener", "l0"), Listener(draw(_revisions), draw(_marks), draw(_tables), ())))
    return batch


_numbers = st.sampled_from(range(len(PROXIES)))
_moves = st.tuples(st.sampled_from(["write", "deliver", "answer"]), _numbers)


@st.composite
def _overtaken(draw: Any) -> list[Any]:
    """A route that was just sent goes elsewhere again, with the cluster that it went to, or its proxy lets go of it."""
    number = draw(st.sampled_from([number for number, gateway in enumerate(PROXIES) if gateway == 0]))
    old, new = draw(st.permutations(CLUSTERS))[:2]
    clusters = [
        (0, ("cluster", one), Cluster(draw(_revisions), "", dns=False, endpoints=(0, ""))) for one in (old, new)
    ]
    to = {one: (0, ("route", "r0"), Route(draw(_revisions), "", "h0", "0", (one,))) for one in (old, new)}
    back = ("change", [(0, ("cluster", new), None), to[old]])
    lets_go = [("wildcard", number), *draw(st.lists(_moves, max_size=3)), ("quiet",)]
    return [
        ("change", [*_BASE, *clusters, to[old]]),
        ("quiet",),
        ("change", [to[new]]),
        *draw(st.lists(_moves, max_size=2)),
        ("write", number),
        *(lets_go if draw(st.booleans()) else draw(st.lists(_moves, max_size=2))),
        back,
        ("write", number),
    ]


_step = st.one_of(
    st.tuples(st.just("change"), _change),
    st.tuples(st.just("change"), _swap()),
    *[_moves] * 5,
    st.tuples(st.just("cut"), _numbers),
    st.tuples(st.just("renew"), _numbers, st.sampled_from([one for one in ORDER if one not in WILD])),
    st.tuples(st.just("wildcard"), _numbers),
    st.tuples(st.just("quiet")),
)
_single = _step.map(lambda one: [one])
_steps = st.lists(st.one_of(*[_single] * 3, _overtaken()), max_size=60)


def _overtaking(*between: tuple[Any, ...]) -> list[list[Any]]:
    """The plainest cases of `_overtaken`, which are to be met in every run."""
    to = {one: (0, ("route", "r0"), Route(0, "", "h0", "0", (one,))) for one in ("c0", "c1")}
    both = [(0, ("cluster", one), Cluster(0, "", dns=False, endpoints=(0, ""))) for one in to]
    back = ("change", [(0, ("cluster", "c1"), None), to["c0"]])
    return [[("change", both), ("quiet",), ("change", [to["c1"]]), ("write", 0), *between, back, ("write", 0)]]


def _refused_meanwhile() -> list[list[Any]]:
    """A proxy asks anew for endpoints of which its rejection came after it had let go of them: it waits for them."""
    ends = [(0, ("cluster", one), Cluster(0, "", dns=False, endpoints=(0, ""))) for one in ("c0", "c1")]
    to = {one: (0, ("route", "r0"), Route(0, "", "h0", "0", (one,))) for one in ("c0", "c1")}
    bad = (0, ("cluster", "c0"), Cluster(0, "", dns=False, endpoints=(0, FORM)))
    return [
        [("change", [*_BASE, *ends, to["c1"]]), ("quiet",), ("change", [to["c0"]]), ("write", 0)],
        [("wildcard", 0), ("quiet",), ("change", [(0, ("cluster", "c0"), None), to["c1"]]), ("write", 0)],
        [("change", [(0, ("cluster", "c1"), None), bad, to["c0"]])],
    ]


@example(False, _refused_meanwhile())  # noqa: FBT003
@example(True, _overtaking())  # noqa: FBT003
@example(True, _overtaking(("wildcard", 0), ("quiet",)))  # noqa: FBT003
@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.booleans(), _steps)
def test_a_proxy_ends_with_what_is_published_and_nothing_breaks_on_the_way(
    is_based: bool,  # noqa: FBT001
    steps: list[list[Any]],
) -> None:
    site = Site()
    if is_based:
        site.step("change", _BASE)
        site.settle()
    for verb, *rest in chain.from_iterable(steps):
        if verb == "quiet":
            site.settle()
        else:
            site.step(verb, *rest)
    site.end()
