"""extAuth: a service that says of each request whether it may pass, asked by gRPC or HTTP."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Annotated, ClassVar, Final

from pydantic import Field

from engine.models.duration import Span
from engine.models.extension_section import ExtensionSection
from engine.models.extension_service import GrpcService, ServiceRetry
from engine.models.references import WeightedBackendRef
from engine.models.request_body import RequestBody
from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.substitution import format_problem
from engine.models.texts import FRAMING, has_control_characters, is_token

_LEAST: Final = 100
_MOST: Final = 511
_STATUSES: Final = frozenset({
    100, *range(200, 209), 226, *range(300, 306), 307, 308, *range(400, 418), *range(421, 425), 426, 428, 429, 431,
    *range(500, 509), 510, 511,
})  # fmt: skip
"""Those that Envoy has names for: it answers with no other."""


def names_problems(names: Iterable[str], place: str, but: Container[str] = ()) -> Iterator[tuple[str, str]]:
    """Names that are no header's, nor a pseudo header's, and those that may not be."""
    for number, name in enumerate(names):
        if not is_token(name.removeprefix(":")):
            yield f"{place}[{number}]", f"{name[:64]!r} is no header name"
        elif name.lower() in but:
            yield f"{place}[{number}]", f"{name} belongs to Envoy, which frames by it: leave it out"


class AuthorizationRequest(Ruled):
    """What the service is told beyond the request."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    headers_to_add: Annotated[
        dict[str, str], Field(description="Headers of the check request, over those of the request.")
    ] = {}

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy formats a value, and rejects all that it stands in for one that it cannot."""
        for name, value in self.headers_to_add.items():
            place = f"headersToAdd.{name[:64]}"
            if not is_token(name):
                yield place, f"{name[:64]!r} is no header name"
            elif name.lower() == "host" or name.lower() in FRAMING:
                yield place, f"{name} belongs to Envoy, which frames and routes by it: leave it out"
            if has_control_characters(value):
                yield place, "cannot contain control characters"
            elif (problem := format_problem(value)) is not None:
                yield place, f"{value[:64]!r} is no header value: {problem}"


class AuthorizationResponse(Ruled):
    """Which headers of the service's answer are passed on."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    headers_to_backend: Annotated[
        tuple[str, ...], Field(description="To the backend, when it lets a request pass.")
    ] = ()
    headers_to_client: Annotated[tuple[str, ...], Field(description="To the client, when it does not.")] = ()
    headers_to_client_on_success: Annotated[
        tuple[str, ...], Field(description="To the client, when it lets a request pass.")
    ] = ()

    def beyond(self) -> Iterator[tuple[str, str]]:
        """No other can be there; one that says where a message ends would be put to one that ends elsewhere."""
        yield from names_problems(self.headers_to_backend, "headersToBackend", FRAMING)
        yield from names_problems(self.headers_to_client, "headersToClient")
        yield from names_problems(self.headers_to_client_on_success, "headersToClientOnSuccess", FRAMING)


class HttpService(Ruled):
    """ExtHttpService: it is asked with the request's method, path and headers; 200 lets it pass."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    backend_ref: WeightedBackendRef
    path_prefix: Annotated[str, Field(description="Before the request's path.")] | None = None
    request_timeout: Annotated[Span, Field(description="Of a call.")] | None = None
    authorization_request: AuthorizationRequest | None = None
    authorization_response: AuthorizationResponse | None = None
    retry: ServiceRetry | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy would send it as it stands."""
        if self.path_prefix and not self.path_prefix.startswith("/"):
            yield "pathPrefix", "must begin with /"
        if self.path_prefix and has_control_characters(self.path_prefix):
            yield "pathPrefix", "cannot contain control characters"


class ExtAuth(Ruled):
    """ExtAuthProvider."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("grpcService", "grpc_service"), ("httpService", "http_service")),)

    grpc_service: Annotated[GrpcService, Field(description="Asked by envoy.service.auth.v3.Authorization.")] | None = (
        None
    )
    http_service: Annotated[HttpService, Field(description="Asked by plain HTTP.")] | None = None
    headers_to_forward: Annotated[
        tuple[str, ...],
        Field(description="Headers of the request that the service is told; all by gRPC, a few by HTTP without."),
    ] = ()
    fail_open: Annotated[bool, Field(description="Let requests pass while the service does not answer.")] = False
    clear_route_cache: Annotated[bool, Field(description="Choose the route anew by headers that the service adds.")] = (
        False
    )
    with_request_body: RequestBody | None = None
    status_on_error: Annotated[
        int,
        Field(
            ge=_LEAST,
            le=_MOST,
            description="The answer while the service does not answer.",
            json_schema_extra={"format": "int32"},
        ),
    ] = 403
    stat_prefix: Annotated[str, Field(min_length=1)] | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """No other can be there, nor can Envoy answer with any other status."""
        yield from names_problems(self.headers_to_forward, "headersToForward")
        if self.status_on_error not in _STATUSES:
            yield "statusOnError", f"{self.status_on_error} is no status that Envoy answers with: use a registered one"


SECTION = ExtensionSection("extAuth", "ExtAuth", ExtAuth)
