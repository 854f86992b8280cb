"""A setting's value that is none of its values is refused in a line: its name, the value, what it may be; code 2."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from streams.cli import app
from streams.main import engine_settings
from streams.settings import Settings

SECRET = "canary-7f3a"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not refused would begin where it stands."""
    monkeypatch.chdir(tmp_path)


def tells(environment: dict[str, str], *words: str) -> str:
    """What a command says that must be refused."""
    result = CliRunner(env=environment).invoke(app, words or ["status"])
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith("penstock: ")
    assert len(result.stderr.splitlines()) == 1
    assert "pydantic" not in result.stderr
    return result.stderr.removeprefix("penstock: ").strip()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("BROKERS", "kafka:port", "give host:port[,host:port], with ports from 1 to 65535"),
        ("BROKERS", "kafka:0", "give host:port[,host:port]"),
        ("BROKERS", "kafka:65536", "give host:port[,host:port]"),
        ("BROKERS", "kafka://kafka:9092", "give host:port[,host:port]"),
        ("BROKERS", ",", "give host:port[,host:port]"),
        ("TOPIC_PREFIX", "a/b", "give at most 200 of a-z, A-Z, 0-9, ., _ and -"),
        ("TOPIC_PREFIX", "a" * 201, "give at most 200 of"),
        ("SECURITY_PROTOCOL", "TLS", "give PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
        ("SASL_MECHANISM", "GSSAPI", "give PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
        ("DOMAIN", "a/b", "give at most 63 of a-z, A-Z, 0-9, ., _ and -, the first a letter or a digit"),
        ("DOMAIN", "~a", "give at most 63 of"),
        ("DOMAIN", "..", "give at most 63 of"),
        ("PARTITION", "-1", "give a whole number from 0 to 9999"),
        ("PARTITION", "10000", "give a whole number from 0 to 9999"),
        ("PARTITION", "1.5", "give a whole number from 0 to 9999"),
        ("PARTITION", "one", "give a whole number from 0 to 9999"),
        ("BIND", "localhost", "give an IP address, such as 127.0.0.1 or 0.0.0.0"),
        ("BIND", "300.1.1.1", "give an IP address"),
        ("ENVOY_CONCURRENCY", "0", "give a whole number from 1 to 1024"),
        ("HOST", "kafka", "give faust or group"),
        ("LOG_LEVEL", "loud", "give debug, info, warning or error"),
        ("LOG_JSON", "perhaps", "give true or false"),
        ("OIDC_DISCOVERY", "perhaps", "give true or false"),
        ("PROXIES", "cloud", "give local or kubernetes"),
        ("XDS_LISTEN", "host", "give host:port"),
        ("HEALTH_LISTEN", "8080", "give host:port, with a port from 1 to 65535, or unix:PATH"),
        ("HEALTH_LISTEN", "unix:relative", "give host:port"),
        ("XDS_LISTEN", "host:0", "give host:port"),
        ("XDS_ADDRESS", "https://host:1", "give host:port"),
        ("WEIGHTED_ROUTE_PRECEDENCE", "heavy", "give true or false"),
    ],
)
def test_a_value_that_is_none_of_its_values(name: str, value: str, allowed: str) -> None:
    said = tells({f"PENSTOCK_{name}": value})
    assert said.startswith(f"PENSTOCK_{name}: {value[:99]!r}"[:90])
    assert f" is none of its values: {allowed}" in said


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = "is none of its values: give a directory, or one that can be made"
    assert tells({"PENSTOCK_DATA": str(tmp_path / "file")}) == f"PENSTOCK_DATA: '{tmp_path}/file' {words}"
    assert tells({}, "status", "--data", str(tmp_path / "file")) == f"--data: '{tmp_path}/file' {words}"


@pytest.mark.parametrize("words", [("resolve",), ("project",), ("publish",), ("deploy",), ("watch", "."), ("run", ".")])
def test_every_role_refuses_it(words: tuple[str, ...]) -> None:
    assert tells({"PENSTOCK_HOST": "x"}, *words) == "PENSTOCK_HOST: 'x' is none of its values: give faust or group"


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [("--bind", "here", "an IP address"), ("--brokers", "a:b", "host:port[,host:port]"), ("--data", "{file}", "a dir")],
)
def test_an_option_is_named_as_it_was_written(tmp_path: Path, option: str, value: str, allowed: str) -> None:
    (tmp_path / "file").write_text("")
    value = value.format(file=tmp_path / "file")
    said = tells({}, "run", str(tmp_path), option, value)
    assert said.startswith(f"{option}: {value!r} is none of its values: give {allowed}")


def test_all_that_is_off_is_said_at_once() -> None:
    said = tells({"PENSTOCK_HOST": "x", "PENSTOCK_PARTITION": "y"})
    assert "PENSTOCK_HOST: 'x'" in said
    assert "PENSTOCK_PARTITION: 'y'" in said


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "needs PENSTOCK_SASL_USERNAME and PENSTOCK_SASL_PASSWORD"),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "SASL_USERNAME": "a"}, "needs PENSTOCK_SASL_USERNAME and"),
        ({"SECURITY_PROTOCOL": "SSL", "BROKERS": ""}, "the embedded Kafka speaks PLAINTEXT: name yours with PENSTOCK_B"),
        ({"XDS_KEY": "k.pem"}, "PENSTOCK_XDS_CERTIFICATE and PENSTOCK_XDS_KEY go together"),
        ({"XDS_PLAINTEXT": "true", "XDS_CA": "ca.pem"}, "PENSTOCK_XDS_PLAINTEXT is without TLS: leave PENSTOCK_XDS_CERT"),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_KEY": "k.pem"}, "PENSTOCK_SSL_KEY needs PENSTOCK_SSL_CERTIFICATE"),
    ],
)
def test_values_that_do_not_go_together(environment: dict[str, str], words: str) -> None:
    given = {"BROKERS": "kafka:9092", "SASL_PASSWORD": SECRET} | environment
    if "SASL_USERNAME" in environment:
        del given["SASL_PASSWORD"]
    assert words in tells({f"PENSTOCK_{name}": value for name, value in given.items()})


def test_no_secret_is_shown() -> None:
    environment = {
        "PENSTOCK_SECURITY_PROTOCOL": "SASL",
        "PENSTOCK_SASL_PASSWORD": SECRET,
        "PENSTOCK_BROKERS": f"user:{SECRET}@kafka:9092",
    }
    said = tells(environment)
    assert "PENSTOCK_BROKERS: '...@kafka:9092' is none of its values" in said
    assert SECRET not in said
    assert SECRET not in tells({**environment, "PENSTOCK_SECURITY_PROTOCOL": "SASL_SSL"})


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("log_level", "WARNING", "warning"),
        ("security_protocol", "plaintext", "PLAINTEXT"),
        ("sasl_mechanism", "scram-sha-256", "SCRAM-SHA-256"),
        ("brokers", "a:1, [::1]:2,c", "a:1,[::1]:2,c"),
        ("bind", "::", "::"),
        ("envoy", "", None),
        ("sealing_key", "", None),
        ("log_json", "1", True),
    ],
)
def test_values_are_taken_as_people_write_them(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str, taken: object
) -> None:
    monkeypatch.setenv(f"PENSTOCK_{name.upper()}", given)
    assert getattr(Settings(), name) == taken


@pytest.mark.parametrize("name", ["ssl_ca", "ssl_certificate"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: str | None) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    environment = {
        "PENSTOCK_BROKERS": "127.0.0.1:1",
        "PENSTOCK_SECURITY_PROTOCOL": "SSL",
        f"PENSTOCK_{name.upper()}": str(path),
    }
    result = CliRunner(env=environment).invoke(app, ["status"])
    assert result.exit_code == 3
    assert result.stderr.startswith(f"penstock: PENSTOCK_{name.upper()}: {path} cannot be used")
    assert len(result.stderr.splitlines()) == 1


def test_in_kubernetes_a_gateway_is_where_its_service_is() -> None:
    given = engine_settings(Settings(proxies="kubernetes"))
    assert (given.bind_address, given.shared_address, given.service_addresses) == ("0.0.0.0", False, True)
    assert 19000 in given.reserved_ports
    assert engine_settings(Settings(proxies="kubernetes", bind="::")).bind_address == "::"
    assert engine_settings(Settings()).bind_address == "127.0.0.1"


@pytest.mark.parametrize("proxies", ["local", "kubernetes"])
def test_the_engine_is_told_whether_weights_of_routes_count(proxies: Literal["local", "kubernetes"]) -> None:
    assert not engine_settings(Settings(proxies=proxies)).weighted_route_precedence
    assert engine_settings(Settings(proxies=proxies, weighted_route_precedence=True)).weighted_route_precedence


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ("acl",)),
        ("{}", ("acl",)),
        ('{"trafficPolicy": {"acl": "ShallowMerge"}}', ()),
        ('{"trafficPolicy": {"extAuth": "DeepMerge", "transformation": "ShallowMerge"}}', ("acl", "extAuth")),
    ],
)
def test_which_fields_of_policies_are_merged_is_written_as_kgateway_writes_it(text: str, found: tuple[str, ...]) -> None:
    assert engine_settings(Settings(policy_merge=text)).deep_merges == found


@pytest.mark.parametrize(
    "text",
    ["x", "[]", '{"traffic": {}}', '{"trafficPolicy": []}', '{"trafficPolicy": {"rbac": "DeepMerge"}}',
     '{"trafficPolicy": {"acl": "Deep"}}', '{"trafficPolicy": {"acl": ["DeepMerge"]}}'],
)  # fmt: skip
def test_another_merge_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="DeepMerge or ShallowMerge"):
        Settings(policy_merge=text)
