"""Signatures on the wire: what signs, what carries them, what becomes of records that are refused for theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError
from structlog.testing import capture_logs

from engine.engine import VERSION, Engine
from engine.events import Delete, Put
from engine.seal import KEY_BYTES, Sealer
from streams.codec import decode_change_set, encode_change_set
from streams.domain import Domain, DomainOptions
from streams.identity import IdentityError
from streams.main import kafka_at
from streams.main import signer as signer_of
from streams.memory import MemoryLog
from streams.past import engine_at
from streams.ports import Log, Outgoing
from streams.settings import Settings
from streams.signing import Signer, make_key, private_key, public_key
from streams.sources.logged import logged
from streams.topics import Topic
from streams.trust import trusted_keys
from tests.streams.toy import TIME, kafka_log, records, things
from tests.support.manifests import endpoints, gateway, route, service
from tests.support.signing import TRUSTING, Signers, cluster_object, of, read, said, signer, written

_OBJECTS = tuple(of("east", one) for one in (gateway(), route("r"), service(), endpoints()))


def _engine() -> Engine:
    return Engine(Sealer(bytes(KEY_BYTES)), TRUSTING)


async def _resolved(log: Log) -> Domain:
    domain = Domain(log, _engine, DomainOptions(version=VERSION, clock=lambda: TIME))
    await domain.acquire()
    return domain


async def _write(log: Log, *some: Outgoing) -> None:
    async with log.writer("somebody") as writer:
        for one in some:
            await writer.write([one])


def test_a_signed_record_is_read_as_it_was_and_an_unsigned_one_has_no_more_bytes() -> None:
    one, by = said("east", "files", *_OBJECTS), signer(2)
    signed = read(written(one, by))
    assert signed == one
    assert signed.signature is not None
    assert signed.signature.is_good()
    assert signed.signature.key == by.public
    assert read(written(one, None)).signature is None
    assert written(one, None).headers == encode_change_set(one)[0].headers == written(one, by).headers[:-1]


def test_each_part_is_signed_and_they_rise_though_the_clock_goes_back() -> None:
    objects = [Put(service(f"s{n}").ref, {**service(f"s{n}").object, "x": "y" * 300_000}) for n in range(5)]
    times = iter([100, 90, 80])
    by = Signer(signer(2)._load, lambda: next(times, 0))  # noqa: SLF001
    parts = [read(by.signed(one)).signature for one in encode_change_set(said("east", "files", *objects))]
    assert len(parts) > 1
    assert all(one is not None and one.is_good() for one in parts)
    assert [one.sequence for one in parts if one] == [100 + number for number in range(len(parts))]
    by.after(500)
    assert read(written(said("east", "files"), by)).signature.sequence == 501  # type: ignore[union-attr]


def test_a_key_is_renewed_by_one_that_can_be_loaded_only(tmp_path: Path) -> None:
    file = tmp_path / "signing.key"
    by = Signer(lambda: private_key(file))
    with pytest.raises(IdentityError, match="penstock keys new"):
        by.public  # noqa: B018
    first = make_key(file)
    assert by.public == public_key(first)
    file.chmod(0o644)
    with capture_logs() as logs:
        for _ in range(3):
            by.renew()
            assert by.public == public_key(first)
    assert [one["reason"].rpartition(": ")[2] for one in logs] == [f"chmod 600 {file}"]
    file.unlink()
    by.renew()
    assert read(written(said("east", "files"), by)).signature.key == public_key(first)  # type: ignore[union-attr]
    second = make_key(file)
    by.renew()
    assert by.public == public_key(second)


def test_a_process_has_one_signer_which_has_the_key_from_its_start(tmp_path: Path) -> None:
    file = tmp_path / "signing.key"
    settings = Settings(data=tmp_path, brokers="127.0.0.1:9", signing_key=file)
    own = make_key(file)
    assert signer_of(settings).public == public_key(own)  # type: ignore[union-attr]
    file.write_text("not whole yet")
    log = kafka_at(settings, "127.0.0.1:9")
    assert log.signer is not None
    assert log.signer.public == public_key(own)


async def test_forged_records_are_rejected_with_reasons_and_a_replay_refuses_the_same() -> None:
    await _forgeries(MemoryLog())


async def test_so_they_are_on_kafka(broker: str) -> None:
    async with kafka_log(broker) as log:
        await _forgeries(log)


async def _forgeries(log: Log) -> None:
    by = Signers()
    east = written(said("east", "files", *_OBJECTS), by.east)
    await _write(log, written(said("hub", "kubernetes", cluster_object("east", by.east.public)), by.root), east)
    # The resolver's own word of its version is refused, unsigned: the domain goes on.
    await _resolved(log)
    before = await things(log)
    assert any(name.startswith("east/") for name in before)
    gone = said("east", "files", Delete(_OBJECTS[1].ref))
    fresh = written(said("east", "files", *_OBJECTS), by.east)
    flipped = fresh._replace(value=(fresh.value or b"").replace(b'"id":"1"', b'"id":"2"'))
    garbage = written(gone, None)._replace(headers=(("signature", b"\xff" * (1 << 20)),))
    await _write(log, written(gone, None), written(gone, by.stranger), flipped, garbage, east)
    domain = await _resolved(log)
    assert await things(log) == before
    rejected = [one for one in await records(log, Topic.REJECTED) if b"files" in (one.value or b"")]
    reasons = [one.header("reason") for one in rejected]
    for reason, words in zip(
        reasons, ("not signed", "is not registered", "does not fit", "cannot be read", "a copy of"), strict=True
    ):
        assert "source files of cluster east" in reason
        assert words in reason
    assert (await engine_at(log, 0, _engine, domain.offset)).state() == (await _again(log)).state()


async def _again(log: Log) -> Engine:
    """All of the log, without what was rejected before: the engine refuses the same."""
    engine = _engine()
    for one in await records(log, Topic.CHANGES):
        engine.fold(decode_change_set(one), one.offset)
    return engine


async def test_a_source_believes_what_its_key_signed_and_goes_on_above_it() -> None:
    """What is forged behind the state may be what it is about to say: the resolver is going to refuse it."""
    by, log = Signers(), MemoryLog()
    await _write(
        log,
        written(said("hub", "kubernetes", cluster_object("east", by.east.public)), by.root),
        written(said("east", "files", *_OBJECTS), by.east),
    )
    await _resolved(log)
    copied = written(said("east", "files", of("east", service("mine"))), by.east)
    forged = of("east", service("forged"))
    await _write(
        log, copied, written(said("east", "files", forged), None), written(said("east", "files", forged), by.stranger)
    )
    await _write(log, written(said("east", "files", Delete(of("east", service("mine")).ref)), by.east), copied)
    log.signer = signer(2, start=-100)
    found = await logged(log, "east", 0)
    assert set(found.objects) == {one.ref for one in _OBJECTS}
    next_one = read(written(said("east", "files"), log.signer)).signature
    assert next_one is not None
    assert next_one.sequence == 4
    log.signer = None
    assert forged.ref in (await logged(log, "east", 0)).objects


async def test_a_log_with_a_signer_signs_the_changes_and_nothing_else() -> None:
    log = MemoryLog(signer=signer(2))
    change, other = written(said("east", "files", *_OBJECTS), None), Outgoing(Topic.STATE, 0, b"default/x", b"{}")
    await _write(log, change, other)
    (found,), (state,) = await records(log, Topic.CHANGES), await records(log, Topic.STATE)
    assert decode_change_set(found).signature.is_good()  # type: ignore[union-attr]
    assert not state.headers
    assert signer(2).signed(change._replace(value=None)).headers == change.headers


def test_a_key_is_made_for_its_owner_only_and_never_over_another(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.key"
    made = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert public_key(private_key(path)) == public_key(made)
    with pytest.raises(IdentityError, match="is there already"):
        make_key(path)
    assert [one.name for one in path.parent.iterdir()] == ["signing.key"]


def _other_kind(path: Path) -> None:
    private = generate_private_key(SECP256R1())
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _readable(path: Path) -> None:
    path.unlink()
    make_key(path)
    path.chmod(0o644)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_readable, "can be read by others \\(mode 644\\): chmod 600"),
        (_other_kind, "is no ed25519 private key"),
        (lambda path: path.write_bytes(b"PRIVATE WORDS"), "is no ed25519 private key"),
        (Path.unlink, "`penstock keys new` makes one"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_with_its_remedy(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "signing.key"
    path.touch(mode=0o600)
    spoil(path)
    with pytest.raises(IdentityError, match=words) as found:
        private_key(path)
    assert "PRIVATE WORDS" not in str(found.value)


def test_trusted_keys_are_read_and_gaps_are_told() -> None:
    one, two = signer(1).public, signer(2).public
    assert trusted_keys("") == ()
    assert trusted_keys(f" {one}, cluster/east={two},cluster/*={two}") == (
        ("", one),
        ("cluster/*", two),
        ("cluster/east", two),
    )
    assert (
        len(trusted_keys(",".join(f"{who}={one}" for who in ("control", "clock", "publisher", "resolver", "broker"))))
        == 5
    )
    for text in (f"control={one}", "x", f"{one[:-2]}", f"east={one}", f"cluster/East={one}", f"{one},control="):
        with pytest.raises(ValueError, match="no key"):
            trusted_keys(text)
        with pytest.raises(ValidationError):
            Settings(trusted_keys=text)
    named = ",".join(f"{who}={one}" for who in ("control", "clock", "publisher", "resolver", "broker"))
    with pytest.raises(ValidationError, match="no key for the configuration cluster: add cluster/hub=KEY"):
        Settings(trusted_keys=named, configuration_cluster="hub")
    Settings(trusted_keys=f"{named},cluster/hub={two}", configuration_cluster="hub")


def test_no_representation_of_a_signer_tells_its_key() -> None:
    private = signer(2)._load().private_bytes_raw()  # noqa: SLF001
    assert private.hex() not in repr(vars(signer(2)))
