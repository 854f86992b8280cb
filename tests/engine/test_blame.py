"""Who pays for a rejected listener: its policies first, and its Gateway only where that does not help."""

from __future__ import annotations

from typing import Any

from engine.events import Put
from engine.update import FragmentKind
from tests.support.manifests import API, delete, gateway, put
from tests.support.story import HTTP_AND_TLS, KGATEWAY, Story


def named(server: Any, generation: int = 1) -> Put:
    target = {"group": API, "kind": "Gateway", "name": "gw"}
    spec = {"targetRefs": [target], "default": {"httpSettings": {"serverName": server}}}
    return put(KGATEWAY, "v1alpha1", "ListenerPolicy", "p", {"spec": spec}, generation)


def served(story: Story, within: str = "8080") -> bytes:
    one = story.one(FragmentKind.LISTENER, within)
    return one.payload if one is not None else b""


def test_a_rejected_policy_is_served_as_it_was_before_and_its_gateway_as_it_is() -> None:
    story = Story(named("good"))
    more = gateway("gw", *HTTP_AND_TLS, {"name": "more", "port": 9090, "protocol": "HTTP"}, generation=2)
    story.tell(more, named("bad", 2))
    assert b"bad" in served(story)
    story.reject(FragmentKind.LISTENER, "8080")
    assert b"good" in served(story)
    assert b"good" in served(story, "9090")
    assert "rejected" in story.says(named("bad"))
    story.tell(named("mended", 3))
    assert b"mended" in served(story)
    assert not story.quarantines()


def test_a_rejected_policy_without_an_earlier_revision_says_nothing_any_more() -> None:
    story = Story()
    before = story.versions()
    story.tell(named("bad"))
    story.reject(FragmentKind.LISTENER, "8080")
    assert story.versions() == before
    story.tell(delete(named("bad")))
    assert not story.quarantines()


def test_where_that_does_not_help_the_gateway_is_blamed_too() -> None:
    story = Story(named("good"))
    story.tell(gateway("gw", *HTTP_AND_TLS, {"name": "more", "port": 8080, "protocol": "HTTP", "hostname": "a.example.com"}, generation=2))
    story.tell(named("bad", 2))
    story.reject(FragmentKind.LISTENER, "8080")
    story.reject(FragmentKind.LISTENER, "8080")
    assert "Gateway/default/gw" in str(story.engine.state())
    held = [row for key, row in story.engine.state().items() if key.startswith("quarantine/")]
    assert {text.split("/")[2] for row in held for text in row["held"]} == {"Gateway", "ListenerPolicy"}
    assert b"good" in served(story)
