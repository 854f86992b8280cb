"""What all models share: frozen, camelCase as written, unknown fields refused; and metadata. It names no kind."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from engine.models.texts import AnnotationKey, LabelKey, LabelValue, NamespaceName, Subdomain, Timestamp


class Model(BaseModel):
    """A block of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, strict=True)


class Loose(Model):
    """A block of a kind that is not ours: what we do not read, we do not judge."""

    model_config = ConfigDict(extra="ignore")


class Metadata(Model):
    """ObjectMeta of meta/v1, whole."""

    name: Subdomain
    generate_name: str = ""
    namespace: NamespaceName = ""
    labels: dict[LabelKey, LabelValue] = {}
    annotations: dict[AnnotationKey, str] = {}
    generation: int | None = None
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    deletion_grace_period_seconds: int | None = None
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[dict[str, Any], ...] = ()
    resource_version: str = ""
    uid: str = ""
    self_link: str = ""
    managed_fields: tuple[dict[str, Any], ...] = ()


class LooseMetadata(Metadata):
    """ObjectMeta of a kind that is not ours."""

    model_config = ConfigDict(extra="ignore")


class Object(Model):
    """What every object of our kinds begins with."""

    api_version: str
    kind: str
    metadata: Metadata


class LooseObject(Loose):
    """What every object of a foreign kind begins with."""

    metadata: LooseMetadata
