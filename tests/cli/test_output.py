"""What others wrote stays on its line and does nothing to a terminal."""

from __future__ import annotations

import pytest

from streams.cli.output import fail, note, plain, say, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("it broke", "it broke"),
        ("žluťoučký 馬 🐎 [bold]", "žluťoučký 馬 🐎 [bold]"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
        ("\u202eevil\u2028\x9b", "\\u202eevil\\u2028\\x9b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_person_reads(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plain(text) == shown
    say(f"a {text}")
    assert capsys.readouterr().out == f"a {shown}\n"
    table(("head",), [(text,)])
    assert shown in capsys.readouterr().out
    note(f"a {text}")
    with pytest.raises(SystemExit):
        fail(f"b {text}", 1)
    assert capsys.readouterr().err == f"penstock: a {shown}\npenstock: b {shown}\n"
