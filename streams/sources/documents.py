"""Splits a manifest's text into documents, safely: YAML as Kubernetes reads it, and JSON; it judges no object.

Whatever the text is, the answer is documents or `Unreadable`: no crash, no time or memory beyond its size.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import orjson
import yaml

_DEPTH = 64
_SUSPECT_BRACKETS = 2 * _DEPTH
_COMPACT = re.compile(rf"(?:[-?:][ \t]+){{{_DEPTH}}}|^ {{{2 * _DEPTH}}}", re.MULTILINE)
_MARKER = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_ALIAS_ALLOWANCE = 100_000
_OBJECT_BYTES = 3 << 20
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unreadable(ValueError):  # noqa: N818
    """The text is no YAML or JSON; `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Loader(_Base):  # type: ignore[misc]
    """YAML 1.1 as Go's decoder of Kubernetes has it: no timestamps, no numbers to the base of sixty, no "="."""


_INT = re.compile(r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_TAG = "tag:yaml.org,2002:"
_TAGS = {*yaml.constructor.SafeConstructor.yaml_constructors, f"{_TAG}merge"}
_QUOTED = re.compile(r"'[^']{2,}'|\"[^\"]{2,}\"")
_FIELD = re.compile(r"[a-zA-Z][a-zA-Z.]{0,39}")
_PATTERNS = {f"{_TAG}int": _INT, f"{_TAG}float": _FLOAT}
_LEFT_OUT = {f"{_TAG}timestamp", f"{_TAG}value"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, _PATTERNS.get(tag, pattern)) for tag, pattern in resolvers if tag not in _LEFT_OUT]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}


def yaml_chunks(text: str) -> list[tuple[int, str]]:
    """The text cut at its document markers: (line, text), so that what did not change need not be parsed again.

    A line that begins with `---` is a marker wherever it stands (YAML 1.2.2 §9.1.2). Directives keep it in one piece.
    """
    if re.search(r"^%", text, re.MULTILINE):
        return [(1, text)]
    chunks, line, before = [], 1, 0
    for start in [*(found.start() for found in _MARKER.finditer(text)), len(text)]:
        chunk = text[before:start]
        if chunk.strip():
            chunks.append((line, chunk))
        line += chunk.count("\n")
        before = start
    return chunks


def yaml_documents(text: str) -> list[tuple[int, Any]]:
    """The documents of a text, each with its line. Raises Unreadable."""
    try:
        _check_nesting(text)
        return [(at + 1, _construct(node, text)) for at, node in _nodes(text)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = min(mark.line, len(text.splitlines()) - 1) if mark is not None else 0
        raise Unreadable(at + 1, f"not YAML: {_shown(error.problem or error.context)}") from None
    except yaml.reader.ReaderError as error:
        at = text.count("\n", 0, max(int(error.position), 0))
        raise Unreadable(at + 1, f"not YAML: {error.reason}") from None
    except Exception as error:  # noqa: BLE001  the library raises whatever its conversions do, AttributeError too
        raise Unreadable(1, f"not YAML: {type(error).__name__}") from None


def json_documents(text: str) -> list[tuple[int, Any]]:
    """The documents of a JSON text, one behind the other. Raises Unreadable."""
    decoder = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_once)
    documents: list[tuple[int, Any]] = []
    at = 0
    while True:
        at += len(text) - at - len(text[at:].lstrip())
        if at >= len(text):
            return documents
        line = text.count("\n", 0, at) + 1
        try:
            value, end = decoder.raw_decode(text, at)
            plain(value)
        except json.JSONDecodeError as error:
            raise Unreadable(error.lineno, f"not JSON: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise Unreadable(line, f"not JSON: {why}") from None
        documents.append((line, value))
        at = end


def plain(value: Any, depth: int = 0) -> Any:
    """JSON's types only: YAML has bytes, sets, and keys that are no text. Raises ValueError for what JSON lacks."""
    if depth > _DEPTH:
        msg = "nested too deeply"
        raise ValueError(msg)
    if isinstance(value, dict):
        return {_name(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        msg = "a number must be finite"
        raise ValueError(msg)
    if value is None or isinstance(value, str | int | float):
        return value
    msg = f"a value of type {type(value).__name__} has no meaning here: write it as text"
    raise ValueError(msg)


def check_size(value: Any) -> None:
    """Raises ValueError for an object that cannot be a record: too large, or with numbers or text JSON has not."""
    try:
        size = len(orjson.dumps(value))
    except TypeError as error:
        msg = f"cannot be written as JSON: {error}"
        raise ValueError(msg) from None
    if size > _OBJECT_BYTES:
        msg = f"has {size >> 10} KiB, an object may have {_OBJECT_BYTES >> 10} KiB: split it"
        raise ValueError(msg)


def _name(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping; the library lets the last one of a key win. Raises ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for at, (key, _) in enumerate(pairs) if any(key == other for other, _ in pairs[:at]))
        msg = f"the key{_name_of(twice)} stands twice"
        raise ValueError(msg)
    return found


def _no_constant(name: str) -> Any:
    msg = f"{name} is no JSON value"
    raise ValueError(msg)


def _check_nesting(text: str) -> None:
    """Libyaml's composer recurses in C: deep nesting would end the process, so it is looked for first."""
    if text.count("[") + text.count("{") <= _SUSPECT_BRACKETS and not _COMPACT.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=_mark(event))


def _mark(event: yaml.Event) -> Any:
    return event.start_mark


def _shown(problem: str | None) -> str:
    """The library's words without what it quotes of the text: that may be a secret."""
    return _QUOTED.sub("...", problem or "")


def _nodes(text: str) -> Iterator[tuple[int, yaml.Node]]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            yield node.start_mark.line, node
    finally:
        loader.dispose()


def _construct(node: yaml.Node, text: str) -> Any:
    _check_nodes(node, _ALIAS_ALLOWANCE + len(text))
    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except yaml.MarkedYAMLError:
        raise
    except Exception:
        _check_scalars(node)
        raise


def _check_scalars(root: yaml.Node) -> None:
    """Looks for the value that its tag does not fit: the library does not say where it stands."""
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, yaml.ScalarNode):
            try:
                yaml.constructor.SafeConstructor().construct_document(node)
            except Exception:  # noqa: BLE001  see above
                words = f"the value is no {node.tag.removeprefix(_TAG)}: quote it if it is text"
                raise yaml.MarkedYAMLError(problem=words, problem_mark=node.start_mark) from None
        elif isinstance(node, yaml.MappingNode):
            stack += [child for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            stack += node.value


def _check_nodes(root: yaml.Node, budget: int) -> None:
    """Without aliases there are fewer nodes than characters: what is above `budget` would fill the memory."""
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        budget -= 1
        if depth > _DEPTH or budget < 0:
            raise yaml.MarkedYAMLError(problem="nested too deeply, or too many aliases", problem_mark=node.start_mark)
        if node.tag not in _TAGS:
            problem = "there is no such tag as this value has: quote the value if it is text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            stack += [(child, depth + 1) for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            stack += [(child, depth + 1) for child in node.value]


def _name_of(key: str) -> str:
    """A key as it may be shown: only one that looks like a field's name cannot be a secret out of place."""
    return f" {key}" if _FIELD.fullmatch(key) else ""


def _check_keys(node: yaml.MappingNode) -> None:
    names = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    if len(names) == len(node.value):
        return
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be text", problem_mark=key.start_mark)
        if key.value in seen and key.value != "<<":
            problem = f"the key{_name_of(key.value)} stands twice"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        seen.add(key.value)
