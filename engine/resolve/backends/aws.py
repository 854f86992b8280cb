"""AWS: a Lambda function, whose calls are signed; EC2 instances are recognised, and nobody looks them up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.backend_type import At, BackendType
from engine.resolve.certificate import SEALER, Served, unread
from engine.resolve.manifest import held_fact, is_unread, mapping, served_object
from engine.resolve.values import BackendKey, BackendTls, Nature, Problem, Protocol
from engine.seal import Sealer, UnsealError

_REGION: Final = "us-east-1"
_PARTITIONS: Final = (("cn-", "aws-cn", "amazonaws.com.cn"), ("us-gov-", "aws-us-gov", "amazonaws.com"))
"""Beginning of a region, partition and domain; of all other regions they are aws and amazonaws.com."""
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Credentials:
    """An AWS access key, as sealed texts; `session_token` is "" where there is none."""

    access_key: str
    secret_key: str
    session_token: str = ""


@dataclass(frozen=True, slots=True)
class Lambda(Nature):
    """A function: where it is called, as what, and by whom.

    By those of `credentials`, else by who may take on `role` ("" for none), else by who the proxy itself is. With
    `passthrough` the function gets the request's body and answers the response's, else it gets and answers all as JSON.
    """

    host: str = ""
    port: int = 443
    arn: str = ""
    region: str = _REGION
    asynchronous: bool = False
    passthrough: bool = False
    credentials: Credentials | None = None
    role: str = ""

    @property
    def authority(self) -> str:
        """The Host header of a call: the signature is of it."""
        return self.host if self.port == _PORTS["https" if self.tls else "http"] else f"{self.host}:{self.port}"


def _name(ref: Ref) -> str:
    return f"Backend {ref.namespace}/{ref.name}"


def _protocol(graph: Reader, block: Json, key: BackendKey) -> Protocol | Problem:  # noqa: ARG001  as every type's
    if not block.get("lambda"):
        text = "spec.aws.ec2, whose instances nobody looks up here: list them in spec.static"
        return Problem("BackendNotFound", f"{_name(key.ref)} has {text}")
    return Protocol.H2C


def _problem(graph: Reader, block: Json, ref: Ref) -> str:  # noqa: ARG001  as every type's
    return "" if block.get("lambda") else "spec.aws.ec2 is not served, since nobody looks instances up: use spec.static"


def _nature(graph: Reader, block: Json, key: At) -> Lambda | Problem | None:
    function = mapping(block.get("lambda"))
    if not function:
        return None
    region = str(block.get("region") or _REGION)
    auth = mapping(block.get("auth"))
    signer: dict[str, Any] = {"role": str(mapping(auth.get("assumeRole")).get("roleArn") or "")}
    if auth.get("secretRef") is not None:
        name = str(mapping(auth["secretRef"]).get("name", ""))
        secret = Ref(key.backend.ref.cluster, "", "Secret", key.backend.ref.namespace, name)
        found = graph.get(credentials, Served(key.gateway, secret))
        if isinstance(found, Problem):
            return found
        signer = {"credentials": found, "secrets": (secret,)}
    return Lambda(
        **_place(key.backend.ref, str(function.get("endpointURL") or ""), region),
        arn=_arn(block, function, region),
        region=region,
        asynchronous=function.get("invocationMode") == "Async",
        passthrough=function.get("payloadTransformMode") == "None",
        **signer,
    )


def _partition(region: str) -> tuple[str, str]:
    return next((rest for begin, *rest in _PARTITIONS if region.startswith(begin)), ["aws", "amazonaws.com"])  # type: ignore[return-value]


def _arn(block: Json, function: Json, region: str) -> str:
    account = function.get("accountId") or block.get("accountId")
    qualifier = function.get("qualifier") or "$LATEST"
    return f"arn:{_partition(region)[0]}:lambda:{region}:{account}:function:{function.get('functionName')}:{qualifier}"


def _place(ref: Ref, url: str, region: str) -> dict[str, Any]:
    """Host, port and TLS: of the region's own endpoint where no other is given."""
    split = urlsplit(url or f"https://lambda.{region}.{_partition(region)[1]}")
    host = split.hostname or ""
    tls = BackendTls(ref, host, (("Hostname", host),), "") if split.scheme == "https" else None
    return {"host": host, "port": split.port or _PORTS[split.scheme], "tls": tls}


def credentials(graph: Reader, key: Served) -> Credentials | Problem:
    """The access key in a Secret, as a Gateway is served it; what is wrong with it shows none of it."""
    object_, resource = served_object(graph, key.gateway, key.secret), graph.read(key.secret)
    if object_ is None or resource is None:
        return unread(key.secret) if is_unread(graph, key.secret) else _bad(key.secret, "does not exist")
    if resource.previous is None and graph.fact(held_fact(key.gateway, key.secret)):
        return _bad(key.secret, "was rejected by a proxy and has no earlier revision: see penstock status")
    data = mapping(object_.get("data"))
    texts = {name: str(data[name]) for name in ("accessKey", "secretKey", "sessionToken") if data.get(name)}
    missing = [name for name in ("accessKey", "secretKey") if name not in texts]
    if missing:
        return _bad(key.secret, f"lacks {' and '.join(missing)}")
    sealer = graph.fact(SEALER)
    try:
        odd = [name for name, text in texts.items() if not isinstance(sealer, Sealer) or not _is_key(sealer, text)]
    except UnsealError:
        return _bad(key.secret, "is sealed with another key: its source must write it again")
    if odd:
        return _bad(key.secret, f"has no AWS key in {', '.join(odd)}: write it without spaces and line ends")
    return Credentials(texts["accessKey"], texts["secretKey"], texts.get("sessionToken", ""))


def _is_key(sealer: Sealer, text: str) -> bool:
    clear = sealer.unseal_text(text)
    return bool(clear) and all(0x21 <= byte <= 0x7E for byte in clear)


def _bad(secret: Ref, what: str) -> Problem:
    return Problem("Invalid", f"Secret {secret.namespace}/{secret.name} {what}")


BACKEND_TYPE = BackendType("aws", _protocol, nature=_nature, problem=_problem, inside=True)
