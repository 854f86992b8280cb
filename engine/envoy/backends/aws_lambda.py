"""Lambda: a request becomes a call of the function, signed, inside the cluster; so no listener has to know of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from betterproto2 import Message
from envoy_data_plane.envoy.extensions.common.aws.v3 import (
    AssumeRoleCredentialProvider,
    AwsCredentialProvider,
    InlineCredentialProvider,
)
from envoy_data_plane.envoy.extensions.filters.http.aws_lambda.v3 import Config, ConfigInvocationMode
from envoy_data_plane.envoy.extensions.filters.http.aws_request_signing.v3 import AwsRequestSigning
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter

from engine.envoy.named_host import named_host
from engine.envoy.shape import Shape
from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.resolve.backends.aws import Credentials, Lambda
from engine.resolve.values import Backend
from engine.seal import Sealer

NATURE: Final = Lambda
_IDLE: Final = timedelta(seconds=30)
_FILTERS: Final = "envoy.extensions.filters.http"


def said(nature: Lambda, backend: Backend, name: str, sealer: Sealer | None) -> Shape:  # noqa: ARG001
    """The function's endpoint, and the filters between a request and it."""
    call = construct(
        Config,
        arn=nature.arn,
        payload_passthrough=nature.passthrough,
        invocation_mode=ConfigInvocationMode.ASYNCHRONOUS if nature.asynchronous else ConfigInvocationMode.SYNCHRONOUS,
    )
    signing = construct(
        AwsRequestSigning,
        service_name="lambda",
        region=nature.region,
        # The client's Host header means nothing there, and the signature covers it.
        host_rewrite=nature.authority,
        credential_provider=_provider(nature, sealer),
    )
    filters = [
        _filter("aws_lambda", "Config", call),
        _filter("aws_request_signing", "AwsRequestSigning", signing),
        _filter("upstream_codec", "UpstreamCodec", UpstreamCodec()),
    ]
    spoken = Shape(common={"idle_timeout": _IDLE}, options={"http_filters": filters})
    return spoken.over(named_host(name, nature.host, nature.port, all_addresses_in_single_endpoint=True))


def _filter(name: str, message: str, config: Message) -> HttpFilter:
    typed = packed(f"{_FILTERS}.{name}.v3.{message}", config)
    return construct(HttpFilter, name=f"envoy.filters.http.{name}", typed_config=typed)


def _provider(nature: Lambda, sealer: Sealer | None) -> AwsCredentialProvider | None:
    """Who signs; None for who the proxy itself is: its environment, its service account or its instance say so."""
    if nature.credentials is not None and sealer is not None:
        return construct(AwsCredentialProvider, inline_credential=_inline(nature.credentials, sealer))
    if nature.role:
        role = construct(AssumeRoleCredentialProvider, role_arn=nature.role)
        return construct(AwsCredentialProvider, assume_role_credential_provider=role)
    return None


def _inline(given: Credentials, sealer: Sealer) -> InlineCredentialProvider:
    token = sealer.unseal_text(given.session_token).decode() if given.session_token else ""
    return construct(
        InlineCredentialProvider,
        access_key_id=sealer.unseal_text(given.access_key).decode(),
        secret_access_key=sealer.unseal_text(given.secret_key).decode(),
        session_token=token,
    )
