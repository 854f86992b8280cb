"""Backend (gateway.kgateway.dev/v1alpha1), field for field kgateway's.

What of it is recognised only, so that its status can say so, is in `NOT_SERVED`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.kind import Column, CustomResource, Kind
from engine.models.rules import ListMap, Rule, Ruled, Rules, exactly_one
from engine.models.texts import INT32, Port, is_address, is_host

_ACCOUNT = Annotated[str, Field(min_length=1, max_length=12, pattern="^[0-9]{12}$")]
_Int32 = Annotated[int, Field(ge=-INT32 - 1, le=INT32, json_schema_extra={"format": "int32"})]


class Host(Ruled):
    """An address, or a name that Envoy resolves, with its port."""

    host: Annotated[str, Field(min_length=1, description="An IP address, or a name that the proxies resolve.")]
    port: Port

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """Envoy takes neither a URL nor a host with its port."""
        if is_address(self.host) or is_host(self.host):
            return ()
        return (
            (
                "host",
                f"{self.host[:64]!r} is neither an IP address nor a host name: write it without scheme, port or path",
            ),
        )


class StaticBackend(Model):
    """Hosts that are listed here."""

    hosts: Annotated[tuple[Host, ...], Field(min_length=1, description="The hosts, each with the same share.")]
    app_protocol: (
        Annotated[
            Literal["http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws"],
            Field(description="How the hosts are spoken to; HTTP/1.1 when absent."),
        ]
        | None
    ) = None


class LocalSecretReference(Model):
    """Names a Secret of the same namespace."""

    name: str = ""


class AssumeRole(Model):
    """An AWS role to take on."""

    role_arn: Annotated[str, Field(min_length=1, max_length=2048, pattern="^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$")]


def _union_rules(kind: str, name: str, attribute: str) -> tuple[Rule, Rule]:
    return (
        Rule(
            f"!(has(self.{name}) && self.type != '{kind}')",
            f"{name} must be nil if the type is not '{kind}'",
            lambda self: self.type == kind or getattr(self, attribute) is None,
        ),
        Rule(
            f"!(!has(self.{name}) && self.type == '{kind}')",
            f"{name} must be specified when type is '{kind}'",
            lambda self: self.type != kind or getattr(self, attribute) is not None,
        ),
    )


class AwsAuth(Ruled):
    """How requests to AWS are signed."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        *_union_rules("Secret", "secretRef", "secret_ref"),
        *_union_rules("AssumeRole", "assumeRole", "assume_role"),
    )

    type: Literal["Secret", "AssumeRole"]
    secret_ref: LocalSecretReference | None = None
    assume_role: AssumeRole | None = None


class AwsLambda(Ruled):
    """An AWS Lambda function."""

    function_name: Annotated[str, Field(pattern="^[A-Za-z0-9-_]{1,140}$")]
    account_id: _ACCOUNT | None = None
    endpoint_url: Annotated[
        Annotated[str, Field(max_length=2048, pattern="^https?://[-a-zA-Z0-9@:%.+~#?&/=]+$")] | None,
        Field(alias="endpointURL"),
    ] = None
    invocation_mode: Literal["Sync", "Async"] = "Sync"
    qualifier: Annotated[str, Field(pattern=r"^(\$LATEST|[0-9]+|[A-Za-z0-9-_]{1,128})$")] = "$LATEST"
    payload_transform_mode: Literal["None", "Envoy"] = "Envoy"

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """Envoy asks a host, and writes the path of the call itself."""
        if self.endpoint_url is None or _is_origin(self.endpoint_url):
            return ()
        return (
            ("endpointURL", f"{self.endpoint_url[:64]!r} is no origin: write scheme, host and port, as http://a:4566"),
        )


def _is_origin(url: str) -> bool:
    """Whether a URL has a scheme, a host and perhaps a port, and nothing else."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        return False
    host = split.hostname or ""
    plain = split.netloc == (host if port is None else f"{host}:{port}")
    return plain and (is_address(host) or is_host(host)) and port != 0 and split[2:] in (("", "", ""), ("/", "", ""))


class TagKeyValue(Model):
    """A tag with its value."""

    key: Annotated[str, Field(min_length=1, max_length=128)]
    value: Annotated[str, Field(min_length=1, max_length=256)]


class TagFilter(Ruled):
    """Chooses instances by a tag."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("key", "key"), ("keyValue", "key_value")),)

    key: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    key_value: TagKeyValue | None = None


class AwsEc2(Model):
    """EC2 instances chosen by tags."""

    port: _Int32 = 80
    address_type: Annotated[Literal["PrivateIP", "PublicIP"], Field()] = "PrivateIP"
    filters: Annotated[tuple[TagFilter, ...], Field(max_length=16)] = ()


class AwsBackend(Ruled):
    """A Lambda function or EC2 instances."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.lambda) || has(self.accountId) || has(self.lambda.accountId)",
            "accountId must be specified on aws or aws.lambda for lambda backends",
            lambda self: self.lambda_ is None or bool(self.account_id or self.lambda_.account_id),
        ),
        exactly_one(("lambda", "lambda_"), ("ec2", "ec2")),
    )

    lambda_: Annotated[AwsLambda | None, Field(alias="lambda")] = None
    ec2: AwsEc2 | None = None
    account_id: _ACCOUNT | None = None
    auth: AwsAuth | None = None
    region: Annotated[str, Field(min_length=1, max_length=63, pattern="^[a-z0-9-]+$")] = "us-east-1"


class DynamicForwardProxy(Model):
    """Whatever host the request names."""

    enable_tls: bool | None = None


class GcpBackend(Model):
    """A service of Google Cloud, called with its identity token."""

    host: Annotated[str, Field(min_length=1)]
    audience: Annotated[str, Field(min_length=1)] | None = None


class LocalBackendReference(Model):
    """Names a Backend of the same namespace."""

    name: str = ""


class PriorityGroup(Model):
    """Backends of one priority."""

    backend_refs: Annotated[
        tuple[LocalBackendReference, ...],
        Field(min_length=1, max_length=16),
        Rules(
            (
                Rule(
                    "self.all(r, size(r.name) > 0)",
                    "backend reference name must not be empty",
                    lambda self: all(one.name for one in self),
                ),
            )
        ),
        ListMap("name"),
    ]


ARMS: Final = (
    ("AWS", "aws", "aws"),
    ("Static", "static", "static"),
    ("DynamicForwardProxy", "dynamicForwardProxy", "dynamic_forward_proxy"),
    ("GCP", "gcp", "gcp"),
    ("PriorityGroups", "priorityGroups", "priority_groups"),
)
"""Value of `type`, field and attribute of each way to reach a backend."""
NOT_SERVED: Final = ("aws.ec2",)
"""Fields below `spec` that are recognised only."""


def _type_rule(kind: str, name: str, attribute: str) -> Rule:
    return Rule(
        f"!has(self.type) || (self.type == '{kind}' ? has(self.{name}) : true)",
        f"{name} backend must be specified when type is '{kind}'",
        lambda self: self.type != kind or getattr(self, attribute) is not None,
    )


class BackendSpec(Ruled):
    """Exactly one way to reach a backend."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        *(_type_rule(*arm) for arm in ARMS),
        exactly_one(*((name, attribute) for _, name, attribute in ARMS)),
    )

    type: Annotated[
        Literal["AWS", "Static", "DynamicForwardProxy", "GCP", "PriorityGroups"] | None,
        Field(description="Deprecated: the field that is set says it."),
    ] = None
    static: StaticBackend | None = None
    aws: AwsBackend | None = None
    dynamic_forward_proxy: DynamicForwardProxy | None = None
    gcp: GcpBackend | None = None
    priority_groups: Annotated[tuple[PriorityGroup, ...], Field(min_length=1, max_length=16)] | None = None


class Condition(Model):
    """Condition of meta/v1."""

    type: Annotated[str, Field(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    message: Annotated[str, Field(max_length=32768)]


class BackendStatus(Model):
    """What became of a Backend."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=8), ListMap("type")] = ()


class Backend(Object):
    """Where requests can be sent, other than a Service."""

    spec: BackendSpec


KINDS = (
    Kind(
        "gateway.kgateway.dev",
        "Backend",
        "backends",
        ("v1alpha1",),
        Backend,
        crd=CustomResource(
            (
                Column("Type", ".spec.type", "Which backend type?"),
                Column(
                    "Accepted",
                    ".status.conditions[?(@.type=='Accepted')].status",
                    "Backend configuration acceptance status",
                ),
                Column("Age", ".metadata.creationTimestamp", "The age of the backend.", "date"),
            ),
            BackendStatus,
            ("kgateway",),
        ),
    ),
)
