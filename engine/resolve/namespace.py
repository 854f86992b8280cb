"""Namespaces and label selectors: which namespaces a listener admits. An absent Namespace has only its name label."""

from __future__ import annotations

from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.manifest import items, labels_of, mapping, object_of, texts

NAME_LABEL = "kubernetes.io/metadata.name"


class Requirement(NamedTuple):
    """One requirement of a label selector; all must hold."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


Selector = tuple[Requirement, ...]


class Selected(NamedTuple):
    """Key of `selected`."""

    selector: Selector
    cluster: str
    namespace: str


def selector(value: Json) -> Selector:
    """A metav1.LabelSelector as sorted requirements."""
    labels = mapping(value.get("matchLabels"))
    exact = [Requirement(str(key), "In", (str(labels[key]),)) for key in labels]
    rest = [
        Requirement(str(item.get("key", "")), str(item.get("operator", "")), tuple(sorted(texts(item.get("values")))))
        for item in items(value.get("matchExpressions"))
    ]
    return tuple(sorted(exact + rest))


def namespace_labels(graph: Reader, namespace: Ref) -> tuple[tuple[str, str], ...]:
    """Labels of a Namespace, sorted; whatever else changes in it stops here."""
    labels = labels_of(object_of(graph, namespace))
    labels[NAME_LABEL] = namespace.name
    return tuple(sorted(labels.items()))


def selected(graph: Reader, key: Selected) -> bool:
    """Whether a Namespace's labels satisfy a selector."""
    labels = dict(graph.get(namespace_labels, Ref(key.cluster, "", "Namespace", "", key.namespace)))
    return all(_holds(requirement, labels) for requirement in key.selector)


def admitted(graph: Reader, how: str, chosen: Selector, home: Ref, namespace: str) -> bool:
    """Whether objects of a namespace may attach to `home`, by the word and selector of its `namespaces`."""
    match how:
        case "All":
            return True
        case "Same":
            return namespace == home.namespace
        case "Selector":
            return graph.get(selected, Selected(chosen, home.cluster, namespace))
        case _:
            return False


def _holds(requirement: Requirement, labels: dict[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
