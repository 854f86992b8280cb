"""A Kafka that is not penstock's: a node of its own that takes nobody without TLS and a password (SASL_SSL, SCRAM)."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from streams.broker.jars import class_path, java
from tests.support.certificate import pair
from tests.support.running import START_SECONDS, free_port

USER, PASSWORD = "penstock", "not-to-be-told"
_JVM = ("-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qk"


class OwnKafka:
    """The node whose data live in `directory`: started, stopped and started again by the test, on the same port."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True)
        self._identify()
        (directory / "server.properties").write_text(self._properties())
        self._run("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", "server.properties",
                  "--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]")  # fmt: skip

    @property
    def settings(self) -> dict[str, str]:
        """The environment by which penstock reaches it."""
        return {
            "PENSTOCK_BROKERS": f"127.0.0.1:{self.port}",
            "PENSTOCK_SECURITY_PROTOCOL": "SASL_SSL",
            "PENSTOCK_SSL_CA": str(self._directory / "ca.pem"),
            "PENSTOCK_SASL_MECHANISM": "SCRAM-SHA-512",
            "PENSTOCK_SASL_USERNAME": USER,
            "PENSTOCK_SASL_PASSWORD": PASSWORD,
        }

    def start(self) -> None:
        """Until it says that it has started."""
        log = self._directory / "broker.log"
        with log.open("ab") as file:
            said = file.tell()
            self._process = subprocess.Popen(
                [java(), *_JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-cp", class_path(), "kafka.Kafka",
                 "server.properties"],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=self._directory,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while b"Kafka Server started" not in log.read_bytes()[said:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Kafka did not start: {log.read_bytes()[said:][-3000:].decode(errors='replace')}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it as an operator would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def _identify(self) -> None:
        """A certificate for its address, which signs itself; clients are given it as their CA."""
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        authority = x509.BasicConstraints(ca=True, path_length=0)
        chain, key = pair(ec.generate_private_key(ec.SECP256R1()), address, authority, name="kafka")
        (self._directory / "ca.pem").write_bytes(chain)
        (self._directory / "server.pem").write_bytes(key + chain)

    def _properties(self) -> str:
        controller = free_port()
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"SASL_SSL://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"SASL_SSL://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
            "inter.broker.listener.name": "SASL_SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                f'{scram} required username="{USER}" password="{PASSWORD}";'
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": "server.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": "ca.pem",
            "log.dirs": "log",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
        }
        return "".join(f"{name}={value}\n" for name, value in lines.items())

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            [java(), *_JVM, "-cp", class_path(), *words],
            cwd=self._directory, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
