"""The embedded Kafka: real Apache Kafka as a child process; nothing here speaks the protocol."""

from __future__ import annotations

from streams.broker.process import Broker, BrokerError

__all__ = ["Broker", "BrokerError"]
