"""A kubeconfig as the client library reads it, with exec plugins that are told which cluster they are asked for.

The library's own runner tells them nothing of it, waits for ever, and takes a token anew only shortly before it ends.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.config.config_exception import ConfigException
from kubernetes_asyncio.config.dateutil import parse_rfc3339
from kubernetes_asyncio.config.kube_config import FileOrData, KubeConfigLoader, KubeConfigMerger

from streams.kubernetes.access import EXTENSION
from streams.kubernetes.cluster import Json
from streams.kubernetes.plugin import PluginError, run

_SOON_SECONDS: Final = 10.0
"""Before its end a credential is taken anew: a request with it is on its way for a while."""
_LONGEST_SECONDS: Final = 30.0
_CALM_SECONDS: Final = 60.0
_TOLD: Final = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url", "disable-compression")


class Kubeconfig(KubeConfigLoader):
    """One context of a kubeconfig: a file, or what one says. Raises ConfigException, or whatever its parsers raise."""

    def __init__(self, given: Path | Json, context: str = "") -> None:
        said = KubeConfigMerger(str(given)).config if isinstance(given, Path) else given
        super().__init__(said, active_context=context or None, config_base_path=None)
        self._one = asyncio.Lock()
        self._asked, self._quiet, self._ends = -_CALM_SECONDS, 0.0, float("inf")
        self._status: Json = {}
        self._trouble: ConfigException | None = None
        self.certificate: Mapping[str, str] | None = None
        """The client's certificate and key, as PEM, where they are in no file already."""

    async def load(self, configuration: Configuration) -> None:
        """Take the credentials, anew those of a plugin, into the client's configuration."""
        await self.load_and_set(configuration)

    @contextmanager
    def shown(self, configuration: Configuration) -> Iterator[None]:
        """While a client is made: it takes certificate and key out of files alone, which are gone afterwards."""
        if self.certificate is None:
            yield
            return
        with TemporaryDirectory(prefix="penstock-") as directory:  # of mode 700
            names = {one: Path(directory, one) for one in ("cert_file", "key_file")}
            for one, path in names.items():
                path.touch(mode=0o600)
                path.write_text(self.certificate[one], encoding="utf-8")
                setattr(configuration, one, str(path))
            try:
                yield
            finally:
                configuration.cert_file = configuration.key_file = None

    def _load_cluster_info(self) -> None:
        """See the library, which would leave a key in a file of its own for as long as the process runs."""
        user: Any = self._user
        said: Mapping[str, Any] = user.value if user is not None else {}
        pair = said.get("client-certificate-data"), said.get("client-key-data")
        if "cert_file" not in self.__dict__ and all(pair):
            self._show(*(base64.standard_b64decode(str(one)).decode() for one in pair))
        super()._load_cluster_info()

    def _show(self, certificate: str, key: str) -> None:
        self.certificate = {"cert_file": certificate, "key_file": key}
        self.cert_file: str | None = None
        self.key_file: str | None = None

    @property
    def is_ending(self) -> bool:
        """Whether the credential of a plugin, as that has said, is not for long."""
        return datetime.now(UTC).timestamp() >= self._ends - _SOON_SECONDS

    async def load_from_exec_plugin(self) -> bool:
        """See the library. Of many who were refused at once one asks; while that helps not, it is asked less often."""
        async with self._one:
            now = time.monotonic()
            if now - self._asked >= self._quiet:
                self._quiet = (
                    min(max(1.0, 2 * self._quiet), _LONGEST_SECONDS) if now - self._asked < _CALM_SECONDS else 0.0
                )
                self._status, self._trouble = await self._answer()
                self._asked = time.monotonic()
                self._take(self._status)
        if self._trouble is not None:
            raise self._trouble
        return True

    async def _answer(self) -> tuple[Json, ConfigException | None]:
        try:
            user: Any = self._user
            return await asked(user["exec"].value, self._told()), None
        except ConfigException as error:
            return self._status, error

    def _take(self, status: Json) -> None:
        if "token" in status:
            self.token = f"Bearer {status['token']}"
        if {"clientCertificateData", "clientKeyData"} <= status.keys():
            self._show(status["clientCertificateData"], status["clientKeyData"])
        ends = status.get("expirationTimestamp")
        self._ends = parse_rfc3339(ends).timestamp() if isinstance(ends, str) else float("inf")

    def _told(self) -> Json:
        """`spec.cluster` of an ExecCredential."""
        cluster: Any = self._cluster
        said: Mapping[str, Any] = cluster.value
        base = self._get_base_path(cluster.path)
        authority = FileOrData(said, "certificate-authority", file_base_path=base).as_data()
        found = {one: said[one] for one in _TOLD if said.get(one)}
        found |= {"certificate-authority-data": authority} if authority else {}
        config = next((one["extension"] for one in said.get("extensions") or () if one.get("name") == EXTENSION), None)
        return found | ({"config": config} if config is not None else {})


async def asked(plugin: Json, cluster: Json) -> Json:
    """`status` of what an exec plugin answers. Raises ConfigException."""
    command, version = (str(plugin.get(one) or "") for one in ("command", "apiVersion"))
    if not command or not version:
        raise ConfigException("an exec plugin needs command and apiVersion")
    may_ask = plugin.get("interactiveMode") != "Never" and sys.stdin is not None and sys.stdin.isatty()
    spec: dict[str, Any] = {"interactive": may_ask} | ({"cluster": cluster} if plugin.get("provideClusterInfo") else {})
    info = orjson.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": spec}).decode()
    more = {str(one["name"]): str(one["value"]) for one in plugin.get("env") or ()}
    words = [command, *(str(one) for one in plugin.get("args") or ())]
    try:
        output = await run(words, {**os.environ, **more, "KUBERNETES_EXEC_INFO": info}, may_ask=may_ask)
    except PluginError as error:
        raise ConfigException(str(error)) from None
    try:
        said = orjson.loads(output)
        status = said["status"]
        is_whole = "token" in status or {"clientCertificateData", "clientKeyData"} <= status.keys()
        is_meant = said["apiVersion"] == version and said["kind"] == "ExecCredential"
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        is_whole = is_meant = False
    if not is_whole or not is_meant:
        msg = f"the exec plugin {command} answers no ExecCredential of {version} with a token or a certificate and key"
        raise ConfigException(msg)
    found: Json = status
    return found
