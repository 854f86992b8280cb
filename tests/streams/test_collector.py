"""The garbage collector rests while a domain is built, and looks through it again once it is let go."""

from __future__ import annotations

import gc

from streams import collector


def test_much_that_was_made_is_kept_out_until_it_is_forgotten() -> None:
    """Nested pauses end with the outermost; a small one keeps nothing out."""
    gc.collect()
    kept = gc.get_freeze_count()
    with collector.paused():
        with collector.paused():
            small = [[number] for number in range(10)]
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == kept
    with collector.paused():
        large = [[number] for number in range(100_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= kept + len(large) > len(small)
    collector.forget()
    assert gc.get_freeze_count() == 0
