"""`penstock keys`: a key is made once, for its owner only, and only its public half is shown."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.signing import private_key


def _keys(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["keys", *words])
    return found.exit_code, found.output


def test_a_key_is_made_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_SIGNING_KEY", raising=False)
    data = ("--data", str(tmp_path / "data"))
    path = tmp_path / "data" / "keys" / "signing.key"
    code, public = _keys("new", *data)
    assert code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert base64.b64decode(public.strip(), validate=True) == private_key(path).public_key().public_bytes_raw()
    assert _keys("show", *data) == (0, public)
    code, shown = _keys("show", str(path), "--output", "json")
    assert (code, orjson.loads(shown)) == (0, {"publicKey": public.strip(), "file": str(path)})
    for secret in path.read_text().splitlines()[1:-1]:
        assert secret not in public + shown
    code, words = _keys("new", *data)
    assert (code, _keys("show", *data)[1]) == (1, public)
    assert "is there already" in words
    monkeypatch.setenv("PENSTOCK_SIGNING_KEY", str(tmp_path / "none"))
    code, words = _keys("show", *data)
    assert code == 1
    assert "`penstock keys new` makes one" in words


def test_openssl_makes_such_a_key_too(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True, capture_output=True)  # noqa: S607
    path.touch(mode=0o600)
    path.write_bytes(made.stdout)
    assert _keys("show", str(path))[0] == 0
