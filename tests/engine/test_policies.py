"""Which of kgateway's policies stand at an object, and whose block of each field is in force there."""

from __future__ import annotations

from typing import Any

from engine.graph.graph import Graph
from engine.graph.reader import Resource
from engine.ref import Ref
from engine.resolve.indexes import INDEXES
from engine.resolve.manifest import held_fact
from engine.resolve.policy import Aim, Block, aimed, block, blocks, value
from engine.resolve.settings import FACT, EngineSettings

_GATEWAY = Ref("c", "gateway.networking.k8s.io", "Gateway", "n", "gw")
_SERVICE = Ref("c", "", "Service", "n", "s")
_KIND = "BackendConfigPolicy"
_NAMED = {"targetRefs": [{"group": "", "kind": "Service", "name": "s"}]}
_CHOSEN = {"targetSelectors": [{"group": "", "kind": "Service", "matchLabels": {"a": "1"}}]}
_AT = Aim(_GATEWAY, _KIND, _SERVICE)


def _policy(name: str, namespace: str = "n") -> Ref:
    return Ref("c", "gateway.kgateway.dev", _KIND, namespace, name)


def _object(created: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"creationTimestamp": f"2026-01-{created}T00:00:00Z"}, "spec": spec}


def _good(created: str, **spec: Any) -> Resource:
    return Resource(_object(created, **spec), 1, "")


def _graph(**policies: Resource) -> Graph:
    graph = Graph(INDEXES)
    for name, one in policies.items():
        graph.put(_policy(name), one)
    return graph


def test_the_oldest_comes_first_then_by_name() -> None:
    graph = _graph(b=_good("02", **_NAMED), c=_good("01", **_NAMED), a=_good("02", **_NAMED))
    assert aimed(graph, _AT) == (_policy("c"), _policy("a"), _policy("b"))


def test_one_that_was_never_taken_is_as_old_as_it_says() -> None:
    """Its age must not make it the first of all."""
    never = Resource(None, 1, "", "broken", None, _object("03", x=1, **_NAMED))
    assert aimed(_graph(a=never, b=_good("02", **_NAMED)), _AT) == (_policy("b"), _policy("a"))


def test_of_each_field_the_oldest_has_it() -> None:
    graph = _graph(a=_good("02", x={"v": 1}, y={"v": 1}, **_NAMED), b=_good("01", y={"v": 2}, **_NAMED))
    found = blocks(graph, _AT)
    assert found == (Block("x", _policy("a")), Block("y", _policy("b")))
    assert [block(graph, _GATEWAY, one) for one in found] == [{"v": 1}, {"v": 2}]


def test_a_field_may_be_a_text_or_a_number() -> None:
    graph = _graph(a=_good("01", x="5s", **_NAMED))
    (one,) = blocks(graph, _AT)
    assert value(graph, _GATEWAY, one) == "5s"
    assert block(graph, _GATEWAY, one) == {}


def test_a_section_is_not_the_whole() -> None:
    target = {**_NAMED["targetRefs"][0], "sectionName": "http"}
    graph = _graph(a=_good("01", targetRefs=[target]))
    assert aimed(graph, _AT) == ()
    assert aimed(graph, _AT._replace(section="http")) == (_policy("a"),)


def test_labels_choose_in_the_namespace_and_from_the_global_one() -> None:
    graph = _graph(a=_good("01", **_CHOSEN))
    graph.put(_policy("b", "global"), _good("02", **_CHOSEN))
    graph.put(_policy("c", "other"), _good("03", **_CHOSEN))
    assert graph.get(aimed, _AT) == ()
    graph.put(_SERVICE, Resource({"metadata": {"labels": {"a": "1", "b": "2"}}}, 1, ""))
    graph.settle()
    assert graph.get(aimed, _AT) == (_policy("a"),)
    graph.state_fact(FACT, EngineSettings(global_policy_namespace="global"))
    graph.settle()
    assert graph.get(aimed, _AT) == (_policy("a"), _policy("b", "global"))


def test_targets_by_name_stay_in_the_namespace() -> None:
    graph = _graph()
    graph.put(_policy("b", "global"), _good("02", **_NAMED))
    graph.state_fact(FACT, EngineSettings(global_policy_namespace="global"))
    assert aimed(graph, _AT) == ()


def test_a_held_policy_is_the_revision_before_for_its_gateway() -> None:
    graph = _graph(a=Resource(_object("01", x={"v": 2}, **_NAMED), 2, "", "", _object("01", y={"v": 1}, **_NAMED)))
    assert blocks(graph, _AT) == (Block("x", _policy("a")),)
    graph.state_fact(held_fact(_GATEWAY, _policy("a")), "no")
    assert blocks(graph, _AT) == (Block("y", _policy("a")),)
    assert blocks(graph, _AT._replace(gateway=_GATEWAY._replace(name="other"))) == (Block("x", _policy("a")),)


def test_a_held_policy_without_an_earlier_revision_is_refused() -> None:
    graph = _graph(a=_good("01", x={"v": 1}, **_NAMED))
    graph.state_fact(held_fact(_GATEWAY, _policy("a")), "no")
    assert blocks(graph, _AT) == (Block("x", _policy("a"), refused=True),)


def test_a_held_policy_stands_where_its_served_revision_stands() -> None:
    """The index has both revisions' targets."""
    elsewhere = [{"group": "", "kind": "Service", "name": "t"}]
    graph = _graph(a=Resource(_object("01", targetRefs=elsewhere), 2, "", "", _object("01", **_NAMED)))
    assert aimed(graph, _AT) == ()
    graph.state_fact(held_fact(_GATEWAY, _policy("a")), "no")
    assert aimed(graph, _AT) == (_policy("a"),)


def test_an_edit_of_a_block_reruns_nothing_that_asks_where_it_stands() -> None:
    graph = _graph(a=_good("01", x={"v": 1}, **_CHOSEN))
    others = [Aim(_GATEWAY, _KIND, _SERVICE._replace(name=f"s{at}")) for at in range(20)]
    for one in others:
        graph.want(aimed, one)
    graph.settle()
    before = graph.work.reruns
    graph.put(_policy("a"), _good("01", x={"v": 2}, **_CHOSEN))
    assert graph.settle() == []
    assert graph.work.reruns - before == 1
