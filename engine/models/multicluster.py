"""Multi-Cluster Services API (multicluster.x-k8s.io, KEP-1645): what other clusters may use, and what is used of them.

v1beta1 and v1alpha1 say the same. The CRDs are the project's own, not ours.
"""

from __future__ import annotations

from typing import Literal

from engine.models.base import Loose, LooseObject
from engine.models.core import Protocol
from engine.models.kind import Kind
from engine.models.texts import Port

GROUP = "multicluster.x-k8s.io"


class ServiceExportSpec(Loose):
    """ServiceExportSpec."""

    exported_labels: dict[str, str] = {}
    exported_annotations: dict[str, str] = {}


class ServiceExport(LooseObject):
    """A ServiceExport: it exports the Service of its own namespace and name."""

    spec: ServiceExportSpec = ServiceExportSpec()


class ImportedPort(Loose):
    """ServicePort of a ServiceImport."""

    name: str = ""
    port: Port
    protocol: Protocol = "TCP"
    app_protocol: str | None = None


class ServiceImportSpec(Loose):
    """ServiceImportSpec."""

    ports: tuple[ImportedPort, ...] = ()
    type: Literal["ClusterSetIP", "Headless"] = "ClusterSetIP"


class ServiceImport(LooseObject):
    """A ServiceImport, as some controller of that API wrote it."""

    spec: ServiceImportSpec = ServiceImportSpec()


KINDS = (
    Kind(GROUP, "ServiceExport", "serviceexports", ("v1beta1", "v1alpha1"), ServiceExport, ("svcex", "svcexport")),
    Kind(GROUP, "ServiceImport", "serviceimports", ("v1beta1", "v1alpha1"), ServiceImport, ("svcim", "svcimport")),
)
