"""The one form of an object: JSON's types only, without what is not input, so that equal objects are equal bytes.

It judges what is no JSON at all (dates are text, NaN and endless nesting are refused), never what a field means.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.models.kinds import BY_NAME

LARGEST: Final = 1 << 20
"""Bytes of one object as JSON. etcd takes 1.5 MiB; a record of the log must hold it."""

_DEEPEST: Final = 48
_NOISE: Final = ("managedFields", "resourceVersion", "uid", "selfLink")
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


class NotJson(ValueError):  # noqa: N818
    """What stands at `path` can stand in no object; the message says why and what to do."""

    def __init__(self, path: str, message: str, remedy: str = "") -> None:
        super().__init__(f"{path or '(object)'}: {message}")
        self.path, self.message, self.remedy = path, message, remedy


def normalise(object_: Mapping[str, Any]) -> dict[str, Any]:
    """The object as it is compared and kept: keys sorted, without what is not input. Raises NotJson.

    Gone are status (but what its kind declares as input), managedFields, resourceVersion, uid, selfLink, kubectl's
    copy of the object, and nulls.
    """
    answer: dict[str, Any] = orjson.loads(canonical(object_))
    return answer


def canonical(object_: Mapping[str, Any]) -> bytes:
    """`normalise` as JSON text. Raises NotJson."""
    cleaned = _without_noise(object_)
    try:
        text = orjson.dumps(cleaned, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError):
        text = b"null"
    if b"null" in text:
        # A null, or a NaN that became one, or something that is no JSON: look closely, which is slow.
        text = orjson.dumps(_plain(cleaned, "", 0), option=_OPTIONS)
    if len(text) > LARGEST:
        raise NotJson("", f"has {len(text)} bytes, at most {LARGEST} are possible", "split it")
    return text


def _without_noise(object_: Mapping[str, Any]) -> dict[str, Any]:
    answer = dict(object_)
    if "status" in answer:
        kept = _status_input(answer)
        del answer["status"]
        if kept:
            answer["status"] = kept
    metadata = answer.get("metadata")
    if isinstance(metadata, Mapping):
        answer["metadata"] = _clean_metadata(metadata)
    return answer


def _status_input(object_: Mapping[str, Any]) -> dict[str, Any]:
    version, name, status = object_.get("apiVersion"), object_.get("kind"), object_.get("status")
    if not isinstance(version, str) or not isinstance(name, str) or not isinstance(status, Mapping):
        return {}
    kind = BY_NAME.get((version.rpartition("/")[0], name))
    return {key: status[key] for key in kind.status_read if status.get(key)} if kind is not None else {}


def _clean_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    answer = {key: value for key, value in metadata.items() if key not in _NOISE}
    annotations = answer.get("annotations")
    if isinstance(annotations, Mapping) and _LAST_APPLIED in annotations:
        kept = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
        if kept:
            answer["annotations"] = kept
        else:
            del answer["annotations"]
    created = answer.get("creationTimestamp")
    if isinstance(created, str) and not created.endswith("Z"):
        answer["creationTimestamp"] = _utc(created)
    return answer


def _utc(text: str) -> str:
    """Times are compared as text: another zone's would be out of order."""
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    if time.tzinfo is None:
        return text
    return time.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def below(path: str, key: str | int) -> str:
    """The path of a member: `spec.rules[0]`, `metadata.labels[example.com/x]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not key.isascii() or not key.replace("_", "").isalnum():
        # Escaped: a message is one line, whatever a key holds.
        shown = key[:80] if key.isprintable() else repr(key[:80])
        return f"{path}[{shown}]"
    return f"{path}.{key}" if path else key


def _plain(value: Any, path: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise NotJson(path[:80], "is nested too deeply")
    if isinstance(value, Mapping):
        answer = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotJson(path, f"has the key {str(key)[:64]}, which is no text", "put it in quotes")
            if item is not None:
                answer[_text(key, path)] = _plain(item, below(path, key), depth + 1)
        return answer
    if isinstance(value, list | tuple):
        return [_plain(item, below(path, number), depth + 1) for number, item in enumerate(value)]
    return _scalar(value, path)


def _scalar(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise NotJson(path, "is too large a number")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJson(path, "is no number that JSON has (NaN, infinity)")
        return float(value)
    if isinstance(value, dt.datetime):
        time = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
        return time.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    raise NotJson(path, f"is a {type(value).__name__}, which is no JSON", "write it as text")


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotJson(path, "contains half a character (a lone surrogate)", "remove it") from None
    return str(value)
