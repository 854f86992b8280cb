"""basicAuth: a user's name and password are asked for (RFC 7617), and checked by the proxy."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.base import Model
from engine.models.policy import PolicyDisable
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.texts import Namespace, ObjectName
from engine.models.traffic_block import TrafficBlock


class SecretReference(Model):
    """A Secret with lines of htpasswd."""

    name: ObjectName
    namespace: Namespace | None = None
    key: Annotated[str, Field(min_length=1)] = ".htpasswd"


class BasicAuth(Ruled):
    """Who is let in: users listed here, or in a Secret."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(("users", "users"), ("secretRef", "secret_ref"), ("disable", "disable")),
    )

    users: (
        Annotated[
            tuple[str, ...],
            Field(min_length=1, max_length=256, description="Lines as `htpasswd -s` writes them: name:{SHA}hash."),
        ]
        | None
    ) = None
    secret_ref: SecretReference | None = None
    disable: PolicyDisable | None = None


BLOCK = TrafficBlock("basicAuth", BasicAuth)
