"""An address of a backend: a value only, as whatever type of backend it is of finds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a backend; one of a higher `priority` is asked only while those of lower ones are not well.

    `region` and `cluster` say where it is, "" where nobody told a region. With `remote` it is the remote gateway of
    that cluster, and stands for so many endpoints there as its `weight`.
    """

    address: str
    port: int
    zone: str = ""
    hostname: str = ""
    priority: int = 0
    region: str = ""
    cluster: str = ""
    remote: str = ""
    weight: int = 1

    @property
    def place(self) -> tuple[str, str, str]:
        """Region, zone and cluster."""
        return self.region, self.zone, self.cluster
