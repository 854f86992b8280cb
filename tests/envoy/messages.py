"""The messages that translation builds: parsed back from all goldens, with everything that stands in them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any

from betterproto2 import Message
from envoy_data_plane.google.protobuf import Any as ProtoAny

import engine.envoy
import engine.policies
from engine.envoy.typed import unpacked
from engine.update import FragmentKind
from tests.golden.case import CASES, MESSAGES, names, resolve


@cache
def goldens() -> dict[bytes, Message]:
    """Every different message of the goldens' fragments, by its bytes."""
    found = {}
    for name in names():
        golden = resolve(CASES / name)
        for one in golden.update.fragments.set.values():
            clear = golden.sealer.unseal(one.payload, str(one.key).encode()) if one.sealed else one.payload
            found[FragmentKind(one.key.kind), clear] = MESSAGES[one.key.kind].parse(clear)
    return {payload: message for (_, payload), message in found.items()}


def within(message: Message) -> Iterator[Message]:
    """The message and all that stands in it, what is packed into an Any too."""
    yield message
    if isinstance(message, ProtoAny) and message.type_url:
        yield from within(unpacked(message))
        return
    for value in vars(message).values():
        for item in parts(value):
            if isinstance(item, Message):
                yield from within(item)


def parts(value: Any) -> list[Any]:
    """The items of a list, the values of a map, or the value alone."""
    return value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else [value]


@cache
def built() -> frozenset[type[Message]]:
    """The classes that stand in goldens."""
    return frozenset(type(one) for message in goldens().values() for one in within(message))


@cache
def named() -> frozenset[type[Message]]:
    """The classes that the translation's source names."""
    modules = [
        importlib.import_module(one.name)
        for package in (engine.envoy, engine.policies)
        for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    values = [value for module in modules for value in vars(module).values()]
    return frozenset(one for one in values if inspect.isclass(one) and issubclass(one, Message) and one is not Message)
