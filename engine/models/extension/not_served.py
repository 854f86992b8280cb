"""Sections of GatewayExtension that are recognised and not served yet: so that a status can say so."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from engine.models.extension_section import ExtensionSection

_Anything = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
OTHERS: Final = {"oauth2": "OAuth2"}

SECTIONS = tuple(ExtensionSection(field, type_, _Anything) for field, type_ in OTHERS.items())
