"""BackendTLSPolicy (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.kind import Kind as ResourceKind
from engine.models.references import LocalObjectReference
from engine.models.rules import Rule, Ruled, Rules
from engine.models.texts import Group, Hostname, Kind, ObjectName, PreciseHostname, SectionName

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
WELL_KNOWN: Final = rf"^(System|({_LABEL}(\.{_LABEL})*/([A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]))$"
_URI: Final = r"^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?"


class TargetReference(Model):
    """LocalPolicyTargetReferenceWithSectionName."""

    group: Group
    kind: Kind
    name: ObjectName
    section_name: SectionName | None = None


def _target(one: TargetReference) -> tuple[str, str, str]:
    return one.group, one.kind, one.name


def _told_apart(targets: tuple[TargetReference, ...]) -> bool:
    whole = {_target(one) for one in targets if one.section_name is None}
    return not any(one.section_name is not None and _target(one) in whole for one in targets)


def _unique(targets: tuple[TargetReference, ...]) -> bool:
    return len({(*_target(one), one.section_name) for one in targets}) == len(targets)


_SAME = "p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name"
_TARGETS = Rules(
    (
        Rule(
            f"self.all(p1, self.all(p2, {_SAME} ? ((!has(p1.sectionName) || p1.sectionName == '') == "
            "(!has(p2.sectionName) || p2.sectionName == '')) : true))",
            "sectionName must be specified when targetRefs includes 2 or more references to the same target",
            _told_apart,
        ),
        Rule(
            f"self.all(p1, self.exists_one(p2, {_SAME} && (((!has(p1.sectionName) || p1.sectionName == '') && "
            "(!has(p2.sectionName) || p2.sectionName == '')) || (has(p1.sectionName) && has(p2.sectionName) && "
            "p1.sectionName == p2.sectionName))))",
            "sectionName must be unique when targetRefs includes 2 or more references to the same target",
            _unique,
        ),
    )
)


def _name_rules(kind: str, name: str, attribute: str, word: str) -> tuple[Rule, Rule]:
    return (
        Rule(
            f'!(self.type == "{kind}" && (!has(self.{name}) || self.{name} == ""))',
            f"SubjectAltName element must contain {word}, if Type is set to {kind}",
            lambda self: self.type != kind or bool(getattr(self, attribute)),
        ),
        Rule(
            f'!(self.type != "{kind}" && has(self.{name}) && self.{name} != "")',
            f"SubjectAltName element must not contain {word}, if Type is not set to {kind}",
            lambda self: self.type == kind or not getattr(self, attribute),
        ),
    )


class SubjectAltName(Ruled):
    """SubjectAltName."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        *_name_rules("Hostname", "hostname", "hostname", "Hostname"),
        *_name_rules("URI", "uri", "uri", "URI"),
    )

    type: Literal["Hostname", "URI"]
    hostname: Hostname | None = None
    uri: Annotated[str, Field(min_length=1, max_length=253, pattern=_URI)] | None = None


def _both(self: Any) -> bool:
    return bool(self.ca_certificate_refs) and bool(self.well_known_ca_certificates)


class Validation(Ruled):
    """BackendTLSPolicyValidation."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(has(self.caCertificateRefs) && size(self.caCertificateRefs) > 0 && has(self.wellKnownCACertificates) && "
            'self.wellKnownCACertificates != "")',
            "must not contain both CACertificateRefs and WellKnownCACertificates",
            lambda self: not _both(self),
        ),
        Rule(
            "(has(self.caCertificateRefs) && size(self.caCertificateRefs) > 0 || has(self.wellKnownCACertificates) && "
            'self.wellKnownCACertificates != "")',
            "must specify either CACertificateRefs or WellKnownCACertificates",
            lambda self: bool(self.ca_certificate_refs) or bool(self.well_known_ca_certificates),
        ),
    )

    ca_certificate_refs: Annotated[
        tuple[LocalObjectReference, ...], Field(max_length=8, alias="caCertificateRefs")
    ] = ()
    well_known_ca_certificates: Annotated[
        Annotated[str, Field(min_length=1, max_length=253, pattern=WELL_KNOWN)] | None,
        Field(alias="wellKnownCACertificates"),
    ] = None
    hostname: PreciseHostname
    subject_alt_names: Annotated[tuple[SubjectAltName, ...], Field(max_length=5)] = ()


class BackendTLSPolicySpec(Model):
    """BackendTLSPolicySpec."""

    target_refs: Annotated[tuple[TargetReference, ...], Field(min_length=1, max_length=16), _TARGETS]
    validation: Validation
    options: Annotated[dict[str, Annotated[str, Field(min_length=0, max_length=4096)]], Field(max_length=16)] = {}


class BackendTLSPolicy(Object):
    """A BackendTLSPolicy."""

    spec: BackendTLSPolicySpec


KINDS = (
    ResourceKind(
        "gateway.networking.k8s.io",
        "BackendTLSPolicy",
        "backendtlspolicies",
        ("v1", "v1alpha3"),
        BackendTLSPolicy,
        ("btlspolicy",),
    ),
)
