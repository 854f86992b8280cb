"""etcd and kube-apiserver as processes on 127.0.0.1, with all their state in one directory; ended by their ids."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.kubernetes.bed.binaries import binary
from tests.support.running import free_port

TOKEN = "bed-token"
_START_SECONDS = 120.0
_STOP_SECONDS = 10.0


class ApiServerProcess:
    """`start` may be called once; `restart` kills the API server and starts it again on the same port.

    It authorizes by RBAC; who shows TOKEN is of system:masters, which may do all. It listens on `address`; `within` are
    words before each command, such as those that enter a network namespace.
    """

    def __init__(self, root: Path, address: str = "127.0.0.1", within: tuple[str, ...] = ()) -> None:
        self.root = root
        self.address = address
        self._within = within
        self.port = free_port()
        self._etcd_port, self._peer_port = free_port(), free_port()
        self._etcd: subprocess.Popen[bytes] | None = None
        self._api: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Raises MissingBedError."""
        etcd, api = binary("etcd"), binary("kube-apiserver")
        await asyncio.to_thread(_write_keys, self.root)
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self._etcd_words = [
            str(etcd), "--data-dir", str(self.root / "etcd"), "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}", "--unsafe-no-fsync", "--log-level", "warn",
        ]  # fmt: skip
        self._words = [
            str(api), f"--etcd-servers={client}", f"--bind-address={self.address}", f"--advertise-address={self.address}",
            f"--secure-port={self.port}", "--service-cluster-ip-range=10.96.0.0/16", f"--cert-dir={self.root}/certs",
            f"--service-account-key-file={self.root}/sa.pub", f"--service-account-signing-key-file={self.root}/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc", f"--token-auth-file={self.root}/tokens.csv",
            "--authorization-mode=RBAC", "--anonymous-auth=false", "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none", "--profiling=false",
        ]  # fmt: skip
        self._begin()

    async def restart(self) -> None:
        """Kill -9, and start again."""
        assert self._api is not None
        self._api.kill()
        await asyncio.to_thread(self._api.wait)
        self._api = self._spawn("apiserver", *self._words)

    async def kill(self) -> None:
        """Kill -9 both."""
        for process in (self._api, self._etcd):
            assert process is not None
            process.kill()
            await asyncio.to_thread(process.wait)

    def again(self) -> None:
        """Start both again, where they were, with all that they had."""
        self._begin()

    async def stop(self) -> None:
        """End both."""
        for process in (self._api, self._etcd):
            if process is not None:
                process.terminate()
                try:
                    await asyncio.to_thread(process.wait, _STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    await asyncio.to_thread(process.wait)

    async def compact(self) -> None:
        """Make etcd forget all history (its JSON gateway, v3)."""
        everything = base64.b64encode(b"\0").decode()
        found = await self._ask_etcd("range", {"key": everything, "range_end": everything, "limit": 1, "count_only": True})
        await self._ask_etcd("compaction", {"revision": found["header"]["revision"], "physical": True})

    def kubeconfig(self, port: int) -> Path:
        """A kubeconfig that goes through a port of its address."""
        path = self.root / f"kubeconfig-{port}"
        path.write_text(
            json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "bed",
                "clusters": [{"name": "bed", "cluster": {"server": f"https://{self.address}:{port}", "certificate-authority": str(self.authority)}}],
                "users": [{"name": "bed", "user": {"token": TOKEN}}],
                "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "bed"}}],
            })
        )  # fmt: skip
        return path

    @property
    def authority(self) -> Path:
        """The certificate by which it is known."""
        return self.root / "certs" / "apiserver.crt"

    def check(self) -> None:
        """Raises RuntimeError with the log's end when one of the two has ended."""
        for name, process in (("etcd", self._etcd), ("apiserver", self._api)):
            if process is not None and process.poll() is not None:
                tail = (self.root / f"{name}.log").read_text(errors="replace")[-2000:]
                msg = f"{name} ended with {process.returncode}:\n{tail}"
                raise RuntimeError(msg)

    def _begin(self) -> None:
        self._etcd = self._spawn("etcd", *self._etcd_words)
        self._api = self._spawn("apiserver", *self._words)

    def _spawn(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.root / f"{name}.log").open("ab") as log:
            words = (*self._within, *words)
            return subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.root)

    async def _ask_etcd(self, call: str, body: dict[str, object]) -> dict[str, dict[str, str]]:
        url = f"http://127.0.0.1:{self._etcd_port}/v3/kv/{call}"
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            found: dict[str, dict[str, str]] = await answer.json()
            return found


def deadline() -> float:
    """Until when a start may take."""
    return time.monotonic() + _START_SECONDS


def _write_keys(root: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (root / "sa.key").write_bytes(private)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (root / "sa.pub").write_bytes(public)
    (root / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
