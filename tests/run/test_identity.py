"""Keys, tokens and the lock of a data directory."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.seal import KEY_BYTES
from streams.identity import IdentityError, is_proxy_token, lock, proxy_token, sealing_key


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "sealing.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: sealing_key(path), range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) == KEY_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["sealing.key"]


def test_a_damaged_key_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(IdentityError, match="restore it from your backup"):
        sealing_key(tmp_path / "key")


def test_a_token_is_one_gateways(tmp_path: Path) -> None:
    key = sealing_key(tmp_path / "key")
    token = proxy_token(key, "a")
    assert is_proxy_token(key, "a", token)
    assert not is_proxy_token(key, "b", token)
    assert not is_proxy_token(sealing_key(tmp_path / "other"), "a", token)
    assert not is_proxy_token(key, "a", "")
    assert not is_proxy_token(key, "a", "ü")


def test_a_directory_has_one_holder_and_is_free_when_that_dies(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, streams.identity as i\n"
        "with i.lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(IdentityError, match=f"in use by process {holder.pid}: stop it"), lock(tmp_path):
            pass
        with lock(tmp_path, "another.lock"):
            holder.kill()
            holder.wait()
    with lock(tmp_path):
        pass
