"""The part of a kubelet's API that the API server asks for logs."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conformance.network import NODE
from tests.conformance.node.pod import Pod

PORT = 10250


@asynccontextmanager
async def serve_logs(pods: Callable[[], Iterable[Pod]], folder: Path) -> AsyncIterator[None]:
    """Serve the logs of these pods on the node's address."""

    async def logs(request: web.Request) -> web.Response:
        named = request.match_info
        for pod in pods():
            metadata = pod.object["metadata"]
            if (metadata["namespace"], metadata["name"]) == (named["namespace"], named["pod"]):
                return _chosen(pod, named["container"], request)
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, NODE, PORT, ssl_context=await asyncio.to_thread(_context, folder)).start()
        yield
    finally:
        await runner.cleanup()


def _chosen(pod: Pod, container: str, request: web.Request) -> web.Response:
    query, since = request.query, 0.0
    if "sinceTime" in query:
        since = dt.datetime.fromisoformat(query["sinceTime"]).timestamp()
    elif "sinceSeconds" in query:
        since = time.time() - int(query["sinceSeconds"])
    lines = [line for at, line in pod.logs.get(container, ()) if at >= since]
    if "tailLines" in query:
        lines = lines[-int(query["tailLines"]) :]
    return web.Response(body=b"".join(lines), content_type="text/plain")


def _context(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    path = folder / "kubelet.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
