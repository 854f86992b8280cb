"""Transformations in the real Envoy: what messages of every kind become, and what nothing may make of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support.client import Connection
from tests.support.mirror import asking_for, seen
from tests.support.rendering import Site, rendering

pytestmark = pytest.mark.envoy


def _header(value: str, side: str = "response", **more: Any) -> dict[str, Any]:
    return {side: {"set": [{"name": "x-made", "value": value}], **more}}


def _body(value: str, side: str = "response", **more: Any) -> dict[str, Any]:
    return {side: {"body": {"value": value, **more}}}


async def test_a_random_text_is_another_each_time() -> None:
    async with rendering([_header('{{ replace_with_random("<id>-<id>", "<id>") }}')]) as site:
        found = {(await site.ask(0)).header("x-made") or "" for _ in range(20)}
    assert len(found) == 20
    for one in found:
        first, second = one[:22], one[23:]
        assert first == second and len(first) == 22


async def test_requests_of_every_form() -> None:
    """Without a body, with one of known and unknown length; each is framed anew."""
    blocks = [
        _body("[{{ body() }}]", "request"),
        _header("{{ body()|length }}", "request"),
        _body("", "request"),
        _body("{{ nothing.at.all }}", "request", parseAs="AsJson"),
    ]
    async with rendering(blocks) as site:
        assert (await site.ask(0)).body == b"[]"
        assert (await site.ask(0, "POST", body=b"known")).body == b"[known]"
        assert (await _chunked(site, 0, b"un", b"known")).body == b"[unknown]"
        for path, told in ((1, b"four"), (2, b"four"), (1, b"x" * 100_000)):
            answer = await site.ask(path, "POST", body=told)
            assert answer.body == told
        assert dict(seen((await site.ask(1, "POST", body=b"four")).header("x-seen"))["headers"])["x-made"] == "4"
        assert "transfer-encoding" not in dict(seen((await site.ask(1)).header("x-seen"))["headers"])
        emptied = seen((await site.ask(3, "POST", {"content-type": "application/json"}, b"{}")).header("x-seen"))
        assert emptied["body"] == 0
        assert dict(emptied["headers"])["content-length"] == "0"
        assert "content-type" not in dict(emptied["headers"])
        # The connection is still in step: nothing was left on it.
        assert (await site.ask(0, "POST", body=b"last")).body == b"[last]"


async def _chunked(site: Site, route: int, *parts: bytes) -> Any:
    connection = await Connection.open("127.0.0.1", site.port)
    head = f"POST /{route}/ HTTP/1.1\r\nhost: example.com\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    connection.writer.write(
        head + b"".join(f"{len(one):x}\r\n".encode() + one + b"\r\n" for one in parts) + b"0\r\n\r\n"
    )
    return await connection._answer("POST")


async def test_answers_of_every_form() -> None:
    """HEAD, 204 and 304 have no body, whatever a template says; one of unknown length gets one."""
    blocks = [_body("made of {{ body() }}"), {"response": {"set": [{"name": ":status", "value": "204"}]}}]
    async with rendering(blocks) as site:
        for answer_, method, wanted in (
            ({"body": "known"}, "GET", b"made of known"),
            ({"body": "unknown", "chunked": True}, "GET", b"made of unknown"),
            ({"body": ""}, "GET", b"made of "),
            ({"body": "x"}, "HEAD", b""),
            ({"status": 204}, "GET", b""),
            ({"status": 304, "body": ""}, "GET", b""),
        ):
            answer = await site.ask(0, method, {"x-answer": asking_for(**answer_)})
            assert (answer_, answer.body) == (answer_, wanted)
            assert answer.status == answer_.get("status", 200)
        answer = await site.ask(1, headers={"x-answer": asking_for(body="much")})
        assert (answer.status, answer.body, answer.header("content-type")) == (204, b"", None)
        assert (await site.ask(0, headers={"x-answer": asking_for(body="in step")})).body == b"made of in step"


async def test_a_response_sees_the_request_as_it_came() -> None:
    blocks = [
        {
            "request": {
                "set": [{"name": "x-a", "value": "changed"}, {"name": ":path", "value": "/other"}],
                "remove": ["x-b"],
            },
            "response": {
                "set": [
                    {
                        "name": "x-made",
                        "value": "{{ request_header('X-A') }} {{ request_header('x-b') }} {{ request_header(':path') }}",
                    }
                ]
            },
        },
        {
            "request": {
                "set": [
                    {"name": "x-a", "value": "{{ request_header('x-b') }}"},
                    {"name": "x-b", "value": "{{ request_header('x-a') }}"},
                ]
            },
            "response": _header("{% for n in ['x-a', 'x-b'] %}{{ request_header(n) }}{% endfor %}")["response"],
        },
    ]
    async with rendering(blocks) as site:
        answer = await site.ask(0, headers={"x-a": "a", "x-b": "b"})
        assert answer.header("x-made") == "a b /0/"
        assert seen(answer.header("x-seen"))["path"] == "/other"
        answer = await site.ask(1, headers={"x-a": "a", "x-b": "b"})
        assert answer.header("x-made") == "ab"
        asked = dict(seen(answer.header("x-seen"))["headers"])
        assert (asked["x-a"], asked["x-b"]) == ("b", "a")


async def test_fields_of_json_that_was_not_read_are_refused() -> None:
    """400 before the backend is asked; of an answer, in its place. JSON that is none lets a message through as it is."""
    both = {"set": [{"name": "x-made", "value": "{{ field }}"}, {"name": "x-same", "value": "s"}]}
    blocks = [
        {"request": both},
        {"response": both},
        {"request": {**both, "body": {"parseAs": "AsJson"}}},
        {"response": {**both, "body": {"parseAs": "AsJson"}}},
    ]
    async with rendering(blocks) as site:
        answer = await site.ask(0, "POST", body=b'{"field": 1}')
        assert (answer.status, answer.header("x-seen")) == (400, None)
        answer = await site.ask(1, "POST", body=b'{"field": 1}')
        assert (answer.status, answer.body) == (400, b"")
        for body, wanted in (
            (b'{"field": 1}', "1"),
            (b"no JSON", None),
            (b'{"field": 1}}', None),
            (b'{"other": 1}', None),
        ):
            answer = await site.ask(2, "POST", body=body)
            assert dict(seen(answer.header("x-seen"))["headers"]).get("x-made") == wanted
            assert (answer.status, answer.body) == (200, body)
            assert (await site.ask(3, "POST", body=body)).header("x-made") == wanted
        for empty in (b"", b"null"):
            assert (await site.ask(2, "POST", body=empty)).status == 400
            assert (await site.ask(3, "POST", body=empty)).status == 400
        assert (await site.ask(2, "POST", body=b"[1]")).status == 200


async def test_nothing_breaks_a_message_apart() -> None:
    """No value that a sender chooses makes a second header, request or status; what does not fit is left as it is."""
    value = "{{ v }}"
    names = (":path", ":method", ":authority", "x-made")
    blocks: list[dict[str, Any]] = [
        {"request": {"set": [{"name": name, "value": value}], "body": {"parseAs": "AsJson"}}} for name in names
    ]
    blocks += [
        {"response": {"set": [{"name": name, "value": value}], "body": {"parseAs": "AsJson"}}}
        for name in (":status", "x-made")
    ]
    hostile = [
        "a\r\nx-evil: 1",
        "/ HTTP/1.1\r\nx-evil: 1",
        "/a b",
        "",
        "\0",
        "/a\tb",
        "GET /",
        "a\nb",
        "1000",
        "abc",
        "20",
        "100",
        "999",
        "a b",
    ]
    blocks += [
        {side: {"add": [{"name": "x-made", "value": value}], "body": {"parseAs": "AsJson"}}}
        for side in ("request", "response")
    ]
    async with rendering(blocks) as site:
        for number in range(len(blocks)):
            for one in hostile:
                answer = await site.ask(number, "POST", body=json.dumps({"v": one}).encode())
                asked = seen(answer.header("x-seen"))
                assert (number, one, answer.status) == (number, one, 200)
                fields = dict(asked["headers"])
                assert "x-evil" not in fields and answer.header("x-evil") is None
                assert (asked["method"] == "POST") or (number == 1 and asked["method"] == one)
                assert asked["path"] == f"/{number}/"
                assert fields["host"] == "example.com" or (number == 2 and fields["host"] == one)
                whole = one if one and not set(one) & set("\r\n\0") else None
                assert number not in {3, 6} or fields.get("x-made") == whole
                assert number not in {5, 7} or answer.header("x-made") == whole


async def test_a_tunnel_is_let_through() -> None:
    """A request for a WebSocket is not waited for, and its headers are transformed."""
    blocks = [{"request": {"set": [{"name": "x-made", "value": "{{ body() }}t"}], "body": {"value": "x"}}}]
    async with rendering(blocks) as site:
        answer = await site.ask(0, "GET", {"upgrade": "websocket", "connection": "upgrade"})
        assert dict(seen(answer.header("x-seen"))["headers"])["x-made"] == "t"


async def test_what_is_below_comes_first() -> None:
    """Each of the two filters, above and below the other."""
    constant, made = _header("constant"), _header("{{ 'made' }}")
    for around in (constant, made):
        async with rendering([{}, constant, made, {"request": {}}], around) as site:
            said = [(await site.ask(number)).header("x-made") for number in range(4)]
            assert said == ["constant" if around is constant else "made", "constant", "made", None]


async def test_what_is_larger_than_the_buffer_is_answered_for() -> None:
    """Only where a body must be held: elsewhere it passes."""
    large = b"x" * 3_000_000
    async with rendering(
        [_body("{{ body() }}", "request"), _body("{{ body() }}"), _header("{{ header('x') }}h")]
    ) as site:
        assert (await site.ask(0, "POST", body=large)).status == 413
        assert (await Site(site.port, site.log).ask(1, "POST", body=large)).status == 500
        answer = await Site(site.port, site.log).ask(2, "POST", body=large)
        assert (answer.status, answer.header("x-made"), answer.body) == (200, "h", large)


async def test_many_at_once_do_not_mix() -> None:
    """While one message is waited for, others are rendered."""
    async with rendering([_body("{{ request_header('x-a') }}:{{ body() }}", parseAs="AsString")]) as site:

        async def one(number: int) -> None:
            mine = Site(site.port, site.log)
            for _ in range(10):
                answer = await mine.ask(0, "POST", {"x-a": f"{number}"}, f"{number}".encode() * 50)
                assert answer.body.decode() == f"{number}:" + f"{number}" * 50

        await asyncio.gather(*map(one, range(10)))
