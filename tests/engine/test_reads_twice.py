"""A query that reads one answer twice in its first run, and the answer is made anew in between, has no half of it."""

from __future__ import annotations

from engine.graph.graph import Graph
from engine.graph.reader import Reader


def _low(graph: Reader, key: str) -> int:
    return int(graph.fact(key))


def _middle(graph: Reader, key: str) -> int:
    return graph.get(_low, key)


def _high(graph: Reader, key: str) -> tuple[int, int, int]:
    return graph.get(_middle, key), graph.get(_low, key), graph.get(_middle, key)


def test_a_first_run_that_read_an_old_answer_runs_again() -> None:
    """Found by clusters whose status told no end of what it tells the end of."""
    graph = Graph({})
    graph.state_fact("x", 1)
    graph.want(_middle, "x")
    graph.settle()
    graph.state_fact("x", 2)
    graph.want(_high, "x")
    changed = {query: answer for query, _, answer in graph.settle()}
    assert changed[_high] == (2, 2, 2)
    assert changed[_middle] == 2
