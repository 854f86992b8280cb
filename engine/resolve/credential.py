"""Texts that proxies know a provider by, and sign cookies with: in clear, for fragments that leave sealed."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.certificate import SEALER
from engine.resolve.secret_key import secret_value
from engine.resolve.values import Problem
from engine.seal import Sealer

_KEY: Final = "client-secret"


class Credential(NamedTuple):
    """A text that a Gateway's proxies are given apart from all that names it.

    `of` a Secret it is the secret of an OAuth 2 client there, of a GatewayExtension what its cookies are signed with.
    """

    gateway: Ref
    of: Ref


def credential(graph: Reader, key: Credential) -> bytes | Problem:
    """The secret of a client, or what the cookies of a GatewayExtension are signed and encrypted with.

    The latter follows from the sealing key (docs/decisions/0036-keys-of-cookies.md): it is the same on every proxy of
    the extension and after every restart, and another for each extension.
    """
    if key.of.kind != "Secret":
        sealer = graph.fact(SEALER)
        if not isinstance(sealer, Sealer):
            return Problem("Invalid", "cookies cannot be signed without the sealing key")
        return sealer.derived(f"oauth2/{key.of.cluster}/{key.of.namespace}/{key.of.name}")
    found = secret_value(graph, key.gateway, key.of, {"name": key.of.name}, _KEY)
    if isinstance(found, Problem):
        return found
    # As for headers: a line end behind it is no part of it.
    text = found.rstrip(b"\r\n")
    if not text:
        return Problem("Invalid", f"Secret {key.of.namespace}/{key.of.name} has nothing in {_KEY}: write it there")
    return text
