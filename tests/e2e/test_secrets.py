"""No secret in clear anywhere: canaries go every way a secret can go, and are looked for wherever something is kept."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from engine.ref import Ref
from engine.seal import Sealer
from streams.broker import Broker
from streams.cli import app
from streams.identity import proxy_token
from streams.kafka import KafkaLog
from streams.main import ads_socket
from streams.ports import Outgoing, Record
from streams.settings import Settings
from streams.topics import Topic
from streams.view import read_table
from streams.xds.messages import SECRET
from tests.e2e.site import Site, route
from tests.support.certificate import pair
from tests.support.client import Ask, ask
from tests.support.leak import files, leaks, segments
from tests.support.odd_proxy import reject
from tests.support.running import free_port, pid_of, processes, until

GATEWAY = Ref("local", "gateway.networking.k8s.io", "Gateway", "default", "gw")
KINDS = ("gateways", "httproutes", "secrets", "services", "endpointslices", "gatewayclasses")


@dataclass
class Canaries:
    """Values that must never be seen, by name."""

    planted: dict[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A password."""
        value = f"c4n4ry{secrets.token_hex(12)}"
        self.planted[name] = value.encode()
        return value

    def pair(self, name: str) -> tuple[bytes, bytes]:
        """A certificate with its key: neither the key's number nor a line of its PEM may be seen."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain, pem = pair(key)
        self.planted[f"{name}: number"] = key.private_numbers().private_value.to_bytes(32)
        self.planted[f"{name}: PEM"] = pem.split(b"\n")[2]
        return chain, pem


def secret(name: str, /, **fields: object) -> str:
    """A Secret as YAML; JSON is YAML."""
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **fields}) + "\n"


def tls(name: str, chain: bytes, key: bytes) -> str:
    data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
    return secret(name, type="kubernetes.io/tls", data=data)


def listener(name: str, port: int) -> str:
    return f"{{name: {name}, port: {port}, protocol: HTTPS, tls: {{certificateRefs: [{{name: {name}}}]}}}}"


def populate(site: Site, canaries: Canaries) -> int:
    """Write manifests with a canary on every way there is; answers the port that serves TLS."""
    ports = {name: free_port() for name in ("good", "broken", "other", "text")}
    listeners = ", ".join(listener(*one) for one in ports.items())
    site.populate()
    gateway = (site.manifests / "gateway.yaml").read_text()
    site.write("gateway.yaml", gateway.replace("protocol: HTTP}]", "protocol: HTTP}, " + listeners + "]", 1))
    chain, key = canaries.pair("good key")
    broken = canaries.pair("broken key")[1].replace(b"MIG", b"MIX", 1)
    other = canaries.pair("key of another certificate")[1]
    site.write(
        "tls.yaml", "---\n".join([tls("good", chain, key), tls("broken", chain, broken), tls("other", chain, other)])
    )
    as_text = {"tls.crt": chain.decode(), "tls.key": canaries.pair("key as text")[1].decode()}
    site.write("text.json", secret("text", stringData=as_text))
    binary = canaries.planted["binary"] = os.urandom(24)
    site.write("opaque.yaml", secret("opaque", data={"b": base64.b64encode(binary).decode()}))
    site.write("no-base64.yaml", secret("coarse", data={"t": canaries.text("no base64") + "!"}))
    applied = json.dumps({"stringData": {"password": canaries.text("last applied")}})
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    site.write("applied.yaml", secret("applied", metadata={"name": "applied", "annotations": annotations}))
    for number, text in enumerate(_refused(canaries)):
        site.write(f"refused-{number}.yaml", text)
    site.write("list.json", json.dumps({"kind": "SecretList", "items": [{"stringData": canaries.text("no kind")}]}))
    site.write("broken.json", secret("json", stringData={"a": canaries.text("broken JSON")})[:-4])
    return ports["good"]


def _refused(canaries: Canaries) -> Iterator[str]:
    """Secrets that are refused, and files in which one stands that are no YAML."""
    yield secret("misspelt", stringdata={"a": canaries.text("misspelt field")})
    yield secret("unknown", stringData={"a": "x"}, spec={"a": canaries.text("unknown field")})
    yield secret("number", data={"a": canaries.text("data that is no text"), "b": 5})
    yield secret("list", data=[canaries.text("data that is a list")])
    yield secret("nested", stringData={"a": {"b": canaries.text("nested data")}})
    yield secret("kind", kind="Secrt", stringData={"a": canaries.text("another kind")})
    yield secret("version", apiVersion="v2", stringData={"a": canaries.text("another version")})
    yield secret("metadata", metadata={"name": "m", "labels": canaries.text("label")}, data={})
    head = "apiVersion: v1\nkind: Secret\nmetadata: {name: garbage}\nstringData:\n  a: "
    yield head + f'"{canaries.text("unclosed quote")}\n'
    yield head + f"!{canaries.text('exclamation mark')}\n"
    yield head + f"*{canaries.text('asterisk')}\n"
    yield head + f"%{canaries.text('per cent')}\n"
    yield head + f"@{canaries.text('at sign')}\n"
    yield head + f"\t{canaries.text('tab')}\n\tb: c\n"
    yield head + f"x\n  {(name := canaries.text('key twice'))}: 1\n  {name}: 2\n"
    yield head + f"!!timestamp {canaries.text('timestamp')}\n"
    yield head + f"x: {canaries.text('colon')}\n"
    yield head + f"|\n {canaries.text('indent')}\n b\n"
    yield head + f"\x01{canaries.text('control character')}\n"


def test_no_secret_is_seen_anywhere(site: Site) -> None:
    canaries = Canaries()
    port = populate(site, canaries)
    site.start(env={"PENSTOCK_LOG_LEVEL": "debug"})
    site.serves("one")
    assert asyncio.run(ask("127.0.0.1", port, Ask("example.com", sni="example.com"))).status == 200
    _rejected_by_a_proxy(site)
    _lives_through_edits_and_restarts(site, canaries)
    outputs = dict(_outputs(site))
    _everything_refused_says_so(site)
    assert "<sealed>" in outputs["get secrets -o json"]
    texts = [(name, text.encode()) for name, text in outputs.items()]
    texts += [(f"process {pid}", words.encode()) for pid, words in processes(site.data).items()]
    site.ends()
    texts += [*files(site.root, [*(site.manifests.iterdir()), _key_file(site)])]
    texts += [*segments(site.data / "broker"), *_temporary(site)]
    assert leaks(canaries.planted, texts) == []
    _the_search_can_find(site, canaries)


def _rejected_by_a_proxy(site: Site) -> None:
    """A NACK of a certificate: it is judged in isolation and its words enter the log; no Envoy confirms them."""
    settings = Settings(data=site.data)
    token = proxy_token(_key_file(site).read_bytes(), str(GATEWAY))
    wanted = (SECRET, "kubernetes://default/good")
    error = "Failed to load private key from <inline>"
    sent = asyncio.run(reject(ads_socket(settings), token, str(GATEWAY), wanted, error))
    assert b"BEGIN PRIVATE KEY" in sent
    site.says(error)
    until(lambda: any(one["unconfirmed"] for one in site.tells("status")["proxies"]), says=lambda: site.printed)
    assert not site.tells("status")["quarantined"]


def _everything_refused_says_so(site: Site) -> None:
    """Errors were met on every way but one: a document of a kind that is not read is a warning."""
    said = " ".join(f"{one['location']}" for one in site.tells("status")["refused"])
    silent = [path.name for path in sorted(site.manifests.glob("refused-*")) if path.name not in said]
    assert silent == ["refused-5.yaml"], said
    assert "list.json" in said
    assert "no-base64.yaml" in said
    assert "broken.json" in said


def _lives_through_edits_and_restarts(site: Site, canaries: Canaries) -> None:
    chain, key = canaries.pair("renewed key")
    site.write("tls.yaml", tls("good", chain, key) + "---\n" + tls("broken", chain, key[:-40]))
    site.write("route.yaml", route("two"))
    site.serves("two")
    (site.manifests / "opaque.yaml").unlink()
    for role in ("publish", "resolve", "watch"):
        os.kill(pid_of(site.data, rf"cli {role}( |$)"), 9)
    site.write("route.yaml", route("three"))
    site.serves("three")
    assert site.run is not None
    site.run.process.kill()
    site.run.process.wait()
    site.write("route.yaml", route("four"))
    site.start(env={"PENSTOCK_LOG_JSON": "1"})
    site.serves("four")


def _outputs(site: Site) -> Iterator[tuple[str, str]]:
    """Everything that every command prints, and what it writes."""
    words = [["get", kind] for kind in KINDS] + [
        ["graph", one] for one in ("gateways", "listeners", "routes", "backends")
    ]
    words += [["get", "secret", "good"], ["status"], ["status", "Secret/good"], ["status", "Gateway/gw"]]
    words += [["dump", "gw"], ["log", "--limit", "1000"]]
    words += [["replay"], ["replay", "--live"], ["replay", "--out", str(site.root / "replayed")]]
    calls = [[*one, "--data", str(site.data)] for one in words] + [["check", str(site.manifests)]]
    runner = CliRunner()
    for one in calls:
        for form in ("table", "json", "yaml"):
            done = runner.invoke(app, [*one, "-o", form])
            assert done.exit_code in ({0, 1} if one[0] == "status" else {int(one[0] == "check")}), (one, done.output)
            assert done.stdout
            yield f"{one[0]} {one[1]} -o {form}", done.output


def _key_file(site: Site) -> Path:
    return site.data / "keys" / "sealing.key"


def _temporary(site: Site) -> Iterator[tuple[str, bytes]]:
    for path in Path(tempfile.gettempdir()).glob("penstock-*"):
        if path.is_dir():
            yield from files(path)


def _the_search_can_find(site: Site, canaries: Canaries) -> None:
    """The same search over the same records finds every value that was accepted once it is unsealed, and one in clear."""
    sealer = Sealer(_key_file(site).read_bytes())
    rows = asyncio.run(_planted(Broker(site.data / "broker"), canaries))
    found = leaks(canaries.planted, segments(site.data / "broker"))
    assert {one.partition(" in ")[0] for one in found} == canaries.planted.keys()
    assert {one.partition(" in ")[2].partition("@")[0] for one in found} == {"penstock.reports-0"}
    sealed = {
        one for _, text in segments(site.data / "broker") for one in re.findall(rb"sealed:v1:[A-Za-z0-9+/=]+", text)
    }
    unsealed = [(one.decode()[:30], sealer.unseal_text(one.decode())) for one in sorted(sealed)]
    accepted = {"good key", "broken key", "key of another certificate", "key as text", "renewed key"}
    wanted = {name for name in canaries.planted if name.partition(":")[0] in accepted} | {"binary"}
    assert {one.partition(" in ")[0] for one in leaks(canaries.planted, unsealed)} == wanted
    fragments = [
        (name, sealer.unseal(row.value or b"", name.encode()))
        for name, row in rows.items()
        if row.header("sealed") == "1"
    ]
    assert {one.partition(" in ")[0] for one in leaks(canaries.planted, fragments)} == {
        "renewed key: number",
        "renewed key: PEM",
    }


async def _planted(broker: Broker, canaries: Canaries) -> dict[str, Record]:
    """Write every value into a topic, in base64; answers the fragments."""
    log = KafkaLog(await broker.start())
    try:
        async with log.writer("stranger") as writer:
            for name, value in canaries.planted.items():
                await writer.write([Outgoing(Topic.REPORTS, 0, name.encode(), base64.b64encode(b"xx" + value + b"x"))])
        return (await read_table(log, Topic.XDS, 0)).rows
    finally:
        await broker.stop()
