"""Secrets that a policy chooses by their labels, from its own namespace; it reads no value of any."""

from __future__ import annotations

from engine.graph.reader import Reader
from engine.observed import selected_labels
from engine.ref import Ref
from engine.resolve.indexes import LABELLED
from engine.resolve.manifest import asked_fact
from engine.resolve.values import PENDING, Problem


def selected(graph: Reader, selection: Ref) -> tuple[Ref, ...] | Problem:
    """The Secrets of a `selection_ref`, sorted; a Problem while it may have some that nobody has read yet."""
    # Read in any case: that asks for them.
    if graph.read(selection) is None and graph.fact(asked_fact(selection.cluster)):
        text = f"Secrets of namespace {selection.namespace} with labels {selection_text(selection)} are being read"
        return Problem(PENDING, text)
    cluster, namespace = selection.cluster, selection.namespace
    found: set[Ref] | None = None
    for label, value in selected_labels(selection).items():
        having = graph.find(LABELLED, (cluster, namespace, label, value))
        found = set(having) if found is None else found.intersection(having)
    return tuple(sorted(found or ()))


def selection_text(selection: Ref) -> str:
    """Its labels, for people."""
    return ", ".join(f"{label}={value}" for label, value in sorted(selected_labels(selection).items()))
