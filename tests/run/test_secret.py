"""A Secret whose data is no base64 is refused by name and key, in words that say what to do and nothing of the value."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.cli import app
from streams.sources.manifests import read_directory, read_file
from streams.sources.stamp import stamped

CANARY = "canary-7f3a"
SEALER = Sealer(bytes(KEY_BYTES))
REF = Ref("local", "", "Secret", "web", "cert")
_REMEDY = "give it as `base64 -w0 FILE` prints it, or as it is under stringData"


def secret(value: str, field: str = "data") -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: cert, namespace: web}}\n{field}:\n  good: aGk=\n  tls.crt: {value}\n"


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (f'"-----BEGIN {CANARY}"', "character 1 is none that base64 has"),
        (f"{CANARY}", "character 7 is none that base64 has"),
        ('"QUJD RA=="', "character 5 is none that base64 has"),
        ("QUJDRA", "its 6 characters are no multiple of 4, as if its end were lost"),
        ('"QU=DRA=="', "an equals sign stands before its end"),
        ('"===="', "an equals sign stands before its end"),
        ("ä234", "character 1 is none that base64 has"),
    ],
)
def test_data_that_is_no_base64(tmp_path: Path, value: str, what: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(secret(value))
    (refused,) = read_file(path, "a.yaml", "local").refused
    assert (refused.ref, refused.location) == (REF, "a.yaml:1")
    assert refused.message == f"Secret web/cert: data.tls.crt is not base64 ({what}): {_REMEDY}"
    output = CliRunner().invoke(app, ["check", str(tmp_path)]).output
    assert refused.message in output
    assert CANARY not in output


@pytest.mark.parametrize(
    ("value", "clear"),
    [
        ("QUJDRA==", b"ABCD"),
        ('""', b""),
        # Line ends are passed over, as by an API server (Go's encoding/base64).
        ("|\n    QUJD\n    RA==\n", b"ABCD"),
        ('"QUJD\\r\\nRA=="', b"ABCD"),
    ],
)
def test_data_that_is_base64(tmp_path: Path, value: str, clear: bytes) -> None:
    (tmp_path / "a.yaml").write_text(secret(value))
    reading = read_directory(tmp_path, "local")
    assert reading.refused == {}
    sealed = stamped(REF, reading.objects[REF].object, None, "", SEALER)
    assert SEALER.unseal_text(sealed["data"]["tls.crt"]) == clear


def test_what_is_sealed_already_and_what_is_text_pass(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(secret(SEALER.seal_text(b"x")))
    (tmp_path / "b.yaml").write_text(secret(f"{CANARY} -", "stringData").replace("cert", "other"))
    reading = read_directory(tmp_path, "local")
    assert reading.refused == {}
    assert len(reading.objects) == 2


def test_a_certificate_in_lines_of_base64_is_the_same_as_in_one(tmp_path: Path) -> None:
    text = base64.encodebytes(b"certificate " * 20).decode()
    assert text.count("\n") > 2
    for name, value in (("a", "|\n" + "".join(f"    {line}\n" for line in text.splitlines())), ("b", text.replace("\n", ""))):
        (tmp_path / f"{name}.yaml").write_text(secret(value).replace("cert,", f"{name},"))
    reading = read_directory(tmp_path, "local")
    found = [stamped(ref, one.object, None, "", SEALER)["data"]["tls.crt"] for ref, one in reading.objects.items()]
    assert found[0] == found[1]
