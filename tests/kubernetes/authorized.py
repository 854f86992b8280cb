"""A kube-apiserver, and a kubeconfig with no other rights than penstock's service account has."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from streams.permissions import manifests
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import ApiServerProcess

_GROUPS = "system:serviceaccounts,system:authenticated"


class AuthorizingServer(ApiServerProcess):
    """The bed's admin is of system:masters, which may do all; the service account has what it is granted."""

    def __init__(self, root: Path, namespace: str, account: str, address: str = "127.0.0.1", within: tuple[str, ...] = ()) -> None:
        super().__init__(root, address, within)
        self.namespace, self.account = namespace, account
        self.token = f"token-of-{root.name}"

    def _spawn(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        if name == "apiserver":
            user = f"system:serviceaccount:{self.namespace}:{self.account}"
            tokens = self.root / "tokens.csv"
            tokens.write_text(f'{tokens.read_text()}{self.token},{user},account,"{_GROUPS}"\n')
        return super()._spawn(name, *words)

    def restricted(self) -> Path:
        """The service account's kubeconfig."""
        found = json.loads(self.kubeconfig(self.port).read_text())
        found["users"][0]["user"]["token"] = self.token
        path = self.root / "kubeconfig-restricted"
        path.write_text(json.dumps(found))
        return path

    async def grant(self, api: Api, *, members: bool = False) -> None:
        """What `penstock rbac` prints."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        await api.apply(namespace, "tests")
        for one in manifests(self.namespace, self.account, members=members):
            await api.apply(one, "tests")
