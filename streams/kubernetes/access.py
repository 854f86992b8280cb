"""How a member cluster is reached: what its Cluster object says of it, and which kubeconfigs of Secrets are taken.

It connects to nothing. A kubeconfig of a Secret is somebody else's text: it may name no command and no file of ours.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import yaml

from streams.kubernetes.cluster import Json, Target

_LARGEST: Final = 64 << 10
"""Bytes of a kubeconfig in a Secret: one context has some thousands, and YAML is slow to read."""
_OURS: Final = {
    "cluster": ("certificate-authority",),
    "user": ("exec", "auth-provider", "tokenFile", "client-certificate", "client-key"),
}
"""What would be run or read here, in the place of this process and with its rights."""
EXTENSION: Final = "client.authentication.k8s.io/exec"
"""The extension of a kubeconfig's cluster that is an exec plugin's config."""


class AccessError(ValueError):
    """A cluster cannot be reached as it is said; the message says why, and what to do."""


class Way(NamedTuple):
    """A context of the kubeconfig of this process, a key of a Secret of the configuration cluster, or a kubeconfig."""

    context: str = ""
    namespace: str = ""
    name: str = ""
    key: str = ""
    kubeconfig: str = ""
    """As JSON."""

    @property
    def secret(self) -> Target:
        """The Secret."""
        return Target("", "Secret", "secrets", "v1", self.namespace, self.name)


def way(cluster: Json) -> Way | None:
    """How a Cluster object says that it is reached; None when it says nothing. Raises AccessError."""
    access = _mapping(cluster.get("spec")).get("access")
    if access is None:
        return None
    context, secret = _mapping(access).get("context"), _mapping(_mapping(access).get("kubeconfig"))
    if bool(context) == bool(secret):
        raise AccessError("spec.access names a context and a kubeconfig, or neither: give one of the two")
    if context:
        return Way(str(context))
    namespace, name = (str(secret.get(one) or "") for one in ("namespace", "name"))
    if not namespace or not name:
        raise AccessError("spec.access.kubeconfig needs the namespace and the name of a Secret")
    return Way("", namespace, name, str(secret.get("key") or "kubeconfig"))


def kubeconfig(said: Way, secret: Json | None) -> Mapping[str, Any]:
    """What the Secret of a way says. Raises AccessError; no value of the Secret is in its words."""
    where = f"Secret {said.namespace}/{said.name}"
    if secret is None:
        msg = f"{where} is not there"
        raise AccessError(msg)
    value = _mapping(secret.get("data")).get(said.key)
    if not isinstance(value, str):
        msg = f"{where} has no key {said.key}"
        raise AccessError(msg)
    try:
        found = yaml.load(_text(value), _Plain)  # noqa: S506  it is a SafeLoader
        str(found)  # What cannot be written out, such as a number of a million digits, is compared with nothing.
    # PyYAML lets a value that does not fit its tag end in whatever Python raises there.
    except Exception:  # noqa: BLE001  whatever it is, it is this text's
        found = None
    if not isinstance(found, dict):
        msg = f"key {said.key} of {where} is no kubeconfig of at most {_LARGEST >> 10} KiB"
        raise AccessError(msg)
    for field in _of_ours(found):
        msg = (
            f"the kubeconfig of {where} has {field}: commands and files of this process are for kubeconfigs of its "
            f"own, give token, client-certificate-data or client-key-data, or name a context"
        )
        raise AccessError(msg)
    return found


def _text(value: str) -> str:
    text = base64.b64decode(value, validate=True).decode()
    if len(text) > _LARGEST:
        raise ValueError(_LARGEST)
    return text


class _Plain(yaml.SafeLoader):
    """Takes no alias: some hundred bytes of them are gigabytes for whoever writes them out."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """See `yaml.composer.Composer`. Raises ValueError."""
        if self.check_event(yaml.AliasEvent):
            raise ValueError
        return super().compose_node(parent, index)


def _of_ours(found: Mapping[str, Any]) -> Iterator[str]:
    for kind, fields in _OURS.items():
        entries = found.get(f"{kind}s")
        for one in entries if isinstance(entries, list) else ():
            said = _mapping(_mapping(one).get(kind))
            yield from (field for field in fields if said.get(field))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
