"""No header value leaves that Envoy rejects, and none is refused that it takes, but for those that are withheld."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest
from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption
from envoy_data_plane.envoy.config.route.v3 import DirectResponseAction, Route, RouteMatch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.envoy.route_filters import per_filter_config
from engine.envoy.wire import construct
from engine.models.admission import Refusal, admit
from engine.models.substitution import COMMANDS, WITHHELD, format_problem
from engine.resolve.values import Cors, Rule
from tests.envoy.judge import verdict
from tests.support.manifests import put

GOOD = (
    "%%", "100%%", "%%%%", "a%%b", "%%PROTOCOL%%", "%PROTOCOL%", "%PROTOCOL()%", "%PROTOCOL%%%", "%PROTOCOL%%REQ(a)%",
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%", "%HOSTNAME%",
    "%REQ(x-a?x-b):10%", "%REQ(:path)%", "%REQ(X-A)%", "%REQ(?x)%", "%REQ(x?)%", "%REQ(?)%", "%REQ(:nope)%",
    "%REQ(x_y.z!#$&'*+-^`|~)%", "%REQ(a%b)%", "%REQ(a%%b)%", "%REQ(x):0%", "%REQ(x):05%",
    "%REQ(x):18446744073709551615%", "%RESP(a)%", "%TRAILER(a?b)%", "%REQUEST_HEADER(a?b):5%", "%RESPONSE_HEADER(a)%",
    "%DYNAMIC_METADATA(a:b:c)%", "%DYNAMIC_METADATA(:)%", "%DYNAMIC_METADATA(a)b)%", "%DYNAMIC_METADATA(a):0%",
    '%DYNAMIC_METADATA(a["b"])%', '%DYNAMIC_METADATA(["a"):5%', "%UPSTREAM_METADATA(a:b)%", "%CLUSTER_METADATA(a)%",
    "%FILTER_STATE(a)%", "%FILTER_STATE(a:PLAIN):5%", "%FILTER_STATE(a:TYPED)%", "%FILTER_STATE(a:FIELD:x)%",
    "%FILTER_STATE(a:FIELD:x:y)%", "%FILTER_STATE(a::)%", "%UPSTREAM_FILTER_STATE(a:FIELD:x):5%",
    "%COMMON_DURATION(DS_RX_BEG:DS_TX_END)%", "%COMMON_DURATION(a:b:us)%", "%COMMON_DURATION(:)%",
    "%METADATA(ROUTE:a:b):5%", "%METADATA(VIRTUAL_HOST)%", "%START_TIME%", "%START_TIME(%Y-%m-%dT%H:%M:%S.%3f)%",
    "%START_TIME(%)%", "%START_TIME(%10n)%", "%START_TIME(%EOn)%", "%START_TIME()%",
    "%DOWNSTREAM_PEER_CERT_V_START(%s)%", "%XFCC_VALUE(uRi):5%", "%RESPONSE_CODE_DETAILS(NOPE)%",
    "%GRPC_STATUS(NUMBER)%", "%GRPC_STATUS%", "%PATH%", "%PATH(WQ:ORIG):5%", "%PATH(:ORIG_OR_PATH:x)%", "%PATH:5%",
    "%QUERY_PARAMS(DECODED):5%", "%QUERY_PARAM(a b)%", "%UNIQUE_ID%",
)  # fmt: skip

BAD = (
    "100%", "%", "%NOPE%", "%%%", "a%%b%c", "%PROTOCOL%%", "%%PROTOCOL%", "%PROTOCOL(%", "%PROTOCOL)%", "%PROTOCOL(a)%",
    "%PROTOCOL:5%", "%PROTOCOL():5%", "%_%", "%1%", "%req(a)%", "% REQ(a)%", "%REQ(a) %", "%REQ(a%", "%REQ(a)", "%REQ%",
    "%REQ()%", "%REQ(x):%", "%REQ(x):-1%", "%REQ(x):5x%", "%REQ(x):18446744073709551616%", "%REQ(x a)%", "%REQ( x )%",
    "%REQ(:)%", "%REQ(a:b)%", "%REQ(x/y)%", "%REQ(a)b)%", "%REQ(a)%b)%", "%REQ(a?b?c)%", "%REQ(a??)%", "%RESP%",
    "%TRAILER(a?b?c)%", "%RESPONSE_TRAILER(a b)%", "%DYNAMIC_METADATA%", "%UPSTREAM_METADATA(a):5%",
    "%CLUSTER_METADATA(a):5%", "%FILTER_STATE%", "%FILTER_STATE(:PLAIN)%", "%FILTER_STATE(a:NOPE)%",
    "%FILTER_STATE(a:FIELD)%", "%FILTER_STATE(a:PLAIN:x)%", "%FILTER_STATE(a:FIELD::x)%",
    "%UPSTREAM_FILTER_STATE(a:NOPE)%", "%COMMON_DURATION(a)%", "%COMMON_DURATION(a:b:s)%", "%COMMON_DURATION(a:b:ms:x)%",
    "%COMMON_DURATION(a:b):5%", "%METADATA(NODE:a)%", "%METADATA(route:a)%", "%METADATA%", "%START_TIME(%n)%",
    "%START_TIME(%_3n)%", "%START_TIME(%#On)%", "%START_TIME(%%n)%", "%START_TIME:5%", "%EMIT_TIME_LOCAL(%n)%",
    "%UPSTREAM_PEER_CERT_V_END(%En)%", "%XFCC_VALUE(issuer)%", "%XFCC_VALUE%", "%GRPC_STATUS(number)%",
    "%GRPC_STATUS(NUMBER):5%", "%PATH(x)%", "%PATH(WQ:NOPE)%", "%QUERY_PARAMS(ORIG:x)%", "%QUERY_PARAM%",
    "%RESPONSE_CODE_DETAILS:5%",
)  # fmt: skip

KEPT_FROM_ROUTES = (
    "%ENVIRONMENT(HOME)%", "%ENVIRONMENT(HOME):3%", "%REQ(a)%%ENVIRONMENT(HOME)%", "%CEL(request.host)%",
    '%COALESCE({"operators":[{"command":"ENVIRONMENT","param":"HOME"}]})%', "%STREAM_INFO_REQ(a)%",
    "%PER_REQUEST_STATE(a)%", "%%PER_REQUEST_STATE(a)%%", '%DYNAMIC_METADATA(["a","b"])%', "%UPSTREAM_METADATA( [a] )%",
    '%%DYNAMIC_METADATA(["%START_TIME(a)"%%ENVIRONMENT(HOME)%"])%%',
)  # fmt: skip
"""Envoy takes them. The last is an escaped text around a time, until Envoy has taken the quotes away."""


def route(values: Iterable[str]) -> Route:
    """The values in headers of requests and of responses."""
    options = [
        construct(HeaderValueOption, header=construct(HeaderValue, key=f"x-{number}", value=value))
        for number, value in enumerate(values)
    ]
    return construct(
        Route,
        name="judged",
        match=construct(RouteMatch, prefix="/"),
        direct_response=construct(DirectResponseAction, status=500),
        request_headers_to_add=options,
        response_headers_to_add=options,
    )


async def is_taken(*values: str) -> bool:
    """Whether Envoy takes all of them."""
    taken, _ = await verdict(route(values))
    return taken


@pytest.mark.parametrize("value", GOOD)
def test_taken(value: str) -> None:
    assert format_problem(value) is None


async def test_envoy_takes_what_is_taken() -> None:
    shapes = [
        f"%{name}{argument}%" for name in COMMANDS for argument in ("", "(a)", "(a:b)", "(ROUTE:a)", ":5", "(a):5")
    ]
    assert await is_taken(*GOOD, *(one for one in shapes if format_problem(one) is None))


@pytest.mark.parametrize("value", BAD)
async def test_refused(value: str) -> None:
    assert format_problem(value) is not None
    assert not await is_taken(value)


async def test_envoy_would_take_what_is_kept_from_routes() -> None:
    assert all(format_problem(one) is not None for one in KEPT_FROM_ROUTES)
    assert await is_taken(*KEPT_FROM_ROUTES)


@pytest.mark.parametrize("name", WITHHELD)
@pytest.mark.parametrize("value", ["%{}%", "%{}(a)%", "%{}(a):5%", "x%{}():5%y"])
def test_withheld_in_every_shape(name: str, value: str) -> None:
    assert format_problem(value.format(name)) is not None


PARTS = (
    "%", "%%", "(", ")", ":", "5", ")%", "):5%", "?", "a", "x-b", " ", "[", "]", '"', ",", "%n", "FIELD", "PLAIN", "WQ",
    "%REQ(", "%RESP(a", "%PROTOCOL", "%START_TIME(", "%PATH(", "%FILTER_STATE(", "%DYNAMIC_METADATA(", "%NOPE",
    "%METADATA(ROUTE:", "%COMMON_DURATION(a:b", "%GRPC_STATUS", "%UPSTREAM_METADATA(", "%QUERY_PARAMS(ORIG",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=8).map("".join))
def test_envoy_agrees_on_anything(value: str) -> None:
    problem = format_problem(value)
    if problem is None or "obsolete" not in problem:
        assert asyncio.run(is_taken(value)) == (problem is None), problem


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("100%", "the % at character 4 begins no command as %NAME(ARGUMENT):LENGTH%: write %% for a percent sign"),
        (
            "ab%NOPE%",
            "the command NOPE at character 3 is none that Envoy knows: correct it, or write %% for a percent sign",
        ),
        ("%%%REQ%", "the command REQ at character 3 needs an argument: write %REQ(ARGUMENT)%"),
        ("%PROTOCOL(a)%", "the command PROTOCOL at character 1 takes no argument: write %PROTOCOL%"),
        (
            "%START_TIME:5%",
            "the command START_TIME at character 1 takes no length: leave out the colon and the number",
        ),
        (
            "%REQ(a b)%",
            (
                "the command REQ at character 1 takes another argument than 'a b': write a header's name, or two as in "
                "NAME?OTHER"
            ),
        ),
        (
            "%ENVIRONMENT(HOME)%",
            (
                "the command ENVIRONMENT at character 1 is not for routes, it would read the proxy's environment: leave it "
                "out, or write %% for a percent sign"
            ),
        ),
        (
            "a%PER_REQUEST_STATE(a)%",
            "PER_REQUEST_STATE at character 2 is obsolete: write %FILTER_STATE(key:PLAIN)%",
        ),
    ],
)
def test_where_and_the_remedy(value: str, said: str) -> None:
    assert format_problem(value) == said


@pytest.mark.parametrize("field", ["origins", "headers", "expose"])
async def test_envoy_formats_nothing_of_cors(field: str) -> None:
    """It takes there what it rejects in a header; that it answers with it unchanged is played in golden cors-percent."""
    message = route(())
    cors = replace(Cors(origins=("http://a.example",)), **{field: BAD})
    message.typed_per_filter_config = per_filter_config(Rule(cors=cors))
    taken, said = await verdict(message)
    assert taken, said


@pytest.mark.parametrize(("field", "value"), [("allowOrigins", "https://100%.example"), ("allowHeaders", "%PROTOCOL%")])
def test_percent_signs_in_cors(field: str, value: str) -> None:
    """In a header's name the Gateway API allows them, in an origin it does not."""
    filters = [{"type": "CORS", "cors": {field: [value]}}]
    manifest = put("gateway.networking.k8s.io", "v1", "HTTPRoute", "r", {"spec": {"rules": [{"filters": filters}]}})
    assert isinstance(admit(manifest.ref, manifest.object), Refusal) is (field == "allowOrigins")


_LONG = 100_000
HOSTILE = {
    "percent signs": "%" * (_LONG + 1),
    "beginnings": "%START_TIME(" * (_LONG // 12),
    "parentheses": "%REQ(" + "(" * _LONG,
    "parentheses closed": "%REQ(" + ")" * _LONG + "%",
    "nested": "%REQ(" * (_LONG // 10) + ")%" * (_LONG // 10),
    "a name": "%" + "A" * _LONG + "%",
    "a length": "%REQ(a):" + "1" * _LONG + "%",
    "NULs": "%REQ(" + "\0" * _LONG + ")%",
    "other letters": "%REQ(" + "é\U0001f600" * _LONG + ")%",
    "beginnings of what is rewritten": '%DYNAMIC_METADATA(["' * (_LONG // 20),
    "and ends that are none": "%DYNAMIC_METADATA([" + "] " * _LONG,
    "states": "%PER_REQUEST_STATE(" * (_LONG // 19),
    "states on lines": "%PER_REQUEST_STATE(a\n" * (_LONG // 21),
    "line ends": "%DYNAMIC_METADATA([" + "\r\n" * _LONG,
    "spaces": "%DYNAMIC_METADATA(" + " " * _LONG,
    "what is rewritten": "%DYNAMIC_METADATA([" + "a\r\n" * _LONG + "])%",
    "a state at the end": "%PER_REQUEST_STATE(" * (_LONG // 19) + "a)%",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_is_refused_in_few_words_and_steps(name: str) -> None:
    """Twenty-one times as long it is judged as well: steps that grow with the square, or faster, would not end in time."""
    value = HOSTILE[name]
    problem = format_problem(value)
    assert problem is not None
    assert len(problem) < 400
    assert format_problem(value * 21) is not None


@pytest.mark.parametrize("value", ["%%", "%PROTOCOL%", "%REQ(a?b):5%", "%START_TIME(%0%0)%", "%REQ(a):0%"])
def test_a_long_good_value_is_taken(value: str) -> None:
    assert format_problem(value * _LONG) is None


def test_a_length_with_many_zeros_is_a_number() -> None:
    assert format_problem("%REQ(a):" + "0" * _LONG + "5%") is None
    assert format_problem("%REQ(a):" + "0" * 10 + str(2**64) + "%") is not None


@pytest.mark.parametrize("name", HOSTILE)
def test_no_status_repeats_a_hostile_value(name: str) -> None:
    value = HOSTILE[name]
    filters = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x", "value": value}]}}]
    manifest = put("gateway.networking.k8s.io", "v1", "HTTPRoute", "r", {"spec": {"rules": [{"filters": filters}]}})
    judged = admit(manifest.ref, manifest.object)
    assert isinstance(judged, Refusal)
    assert len(judged.message) < 600
