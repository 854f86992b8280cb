"""A kubeconfig as the client library reads it, with exec plugins that are told which cluster they are asked for.

The library's own runner tells them nothing of it, waits for ever, and takes a token anew only shortly before it ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.config.config_exception import ConfigException
from kubernetes_asyncio.config.dateutil import parse_rfc3339
from kubernetes_asyncio.config.kube_config import FileOrData, KubeConfigLoader, KubeConfigMerger

from streams.kubernetes.access import EXTENSION
from streams.kubernetes.cluster import Json

_PLUGIN_SECONDS: Final = 60.0
_SOON_SECONDS: Final = 10.0
"""Before its end a credential is taken anew: a request with it is on its way for a while."""
_LONGEST_SECONDS: Final = 30.0
_CALM_SECONDS: Final = 60.0
_WORDS: Final = 300
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

    async def load(self, configuration: Configuration) -> None:
        """Take the credentials, anew those of a plugin, into the client's configuration."""
        await self.load_and_set(configuration)

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
        if "clientCertificateData" in status:
            self.cert_file: str | None = _file(status, "clientCertificateData")
            self.key_file: str | None = _file(status, "clientKeyData")
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


def _file(status: Json, field: str) -> str | None:
    return FileOrData(status, None, data_key_name=field, base64_file_content=False).as_file()


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
    output = await _run(words, {**os.environ, **more, "KUBERNETES_EXEC_INFO": info}, may_ask=may_ask)
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


async def _run(words: list[str], environment: Mapping[str, str], *, may_ask: bool) -> bytes:
    pipe = asyncio.subprocess.PIPE
    stdin = None if may_ask else asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(*words, env=environment, stdin=stdin, stdout=pipe, stderr=pipe)
    except (OSError, ValueError) as error:
        msg = f"the exec plugin {words[0]} cannot be started: {error}"
        raise ConfigException(msg) from None
    try:
        async with asyncio.timeout(None if may_ask else _PLUGIN_SECONDS):
            output, said = await process.communicate()
    except TimeoutError:
        msg = f"the exec plugin {words[0]} has not answered for {_PLUGIN_SECONDS:.0f} s"
        raise ConfigException(msg) from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        lines = "".join(one if one.isprintable() else " " for one in said.decode(errors="replace")).strip()
        msg = f"the exec plugin {words[0]} ended with {process.returncode}: {lines[-_WORDS:]}"
        raise ConfigException(msg)
    return output
