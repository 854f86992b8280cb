"""A directory of manifests becomes objects and refusals; one bad document costs that document only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.ref import Ref
from engine.seal import KEY_BYTES, PREFIX, Sealer
from streams.sources.directory import Directory
from streams.sources.listing import Signature, signature
from streams.sources.manifests import MissingDirectory, Reading, read_directory
from streams.sources.stamp import stamped

_NOW = "2026-11-24T12:00:00.000Z"
_API = "gateway.networking.k8s.io"


def service(name: str, port: int = 80, namespace: str | None = None) -> str:
    space = f", namespace: {namespace}" if namespace else ""
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}{space}}}\n"
        f"spec: {{ports: [{{name: http, port: {port}}}]}}\n"
    )


def ref(name: str, namespace: str = "default", kind: str = "Service", group: str = "") -> Ref:
    return Ref("local", group, kind, namespace, name)


def read(root: Path, files: dict[str, str]) -> Reading:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_directory(root, "local")


def port(reading: Reading, name: str) -> int:
    return int(reading.objects[ref(name)].object["spec"]["ports"][0]["port"])


def test_yaml_json_lists_and_folders(tmp_path: Path) -> None:
    items = {
        "apiVersion": "v1",
        "kind": "ServiceList",
        "items": [json.loads(_json(service("d"))), json.loads(_json(service("e")))],
    }
    reading = read(
        tmp_path,
        {
            "a.yaml": service("a") + "---\n---\n" + service("b", namespace="other") + "...\n",
            "sub/deep/c.yml": service("c"),
            "list.json": json.dumps(items),
            "crlf.yaml": service("f").replace("\n", "\r\n"),
            "bom.yaml": "\ufeff" + service("g"),
            "empty.yaml": "# nothing\n",
            "notes.txt": "not a manifest",
            ".hidden.yaml": "a: [",
            ".git/x.yaml": service("hidden"),
        },
    )
    assert sorted(one.name for one in reading.objects) == ["a", "b", "c", "d", "e", "f", "g"]
    assert ref("b", "other") in reading.objects
    assert reading.objects[ref("b", "other")].location == "a.yaml:7"
    assert not reading.refused


def _json(text: str) -> str:
    import yaml

    return json.dumps(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "location", "words"),
    [
        ("a: [\n", "bad.yaml:1", "not YAML"),
        (service("x") + "---\nkind: [\n", "bad.yaml:6", "not YAML"),
        ("- 1\n", "bad.yaml:1", "must be an object"),
        ("kind: Service\n", "bad.yaml:1", "apiVersion and kind"),
        ("apiVersion: v1\nkind: Service\nmetadata: {}\n", "bad.yaml:1", "metadata.name"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: 5}\n", "bad.yaml:1", "metadata.name"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a/b}\n", "bad.yaml:1", "slash"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: UPPER}\n", "bad.yaml:1", "metadata.name"),
        (f"apiVersion: v1\nkind: Service\nmetadata: {{name: {'a' * 300}}}\n", "bad.yaml:1", "253"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: 5}\n", "bad.yaml:1", "namespace"),
        ("apiVersion: v9\nkind: Service\nmetadata: {name: a}\n", "bad.yaml:1", "v9 is not served"),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999999999999999999999}]}\n",
            "bad.yaml:1",
            "JSON|65535|port",
        ),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: .inf}\n", "bad.yaml:1", "finite"),
        (
            service("ok")
            + f"---\napiVersion: {_API}/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec: {{rulez: []}}\n",
            "bad.yaml:6",
            "spec.rulez: unknown field",
        ),
    ],
)
def test_what_cannot_be_taken_names_file_and_line(tmp_path: Path, text: str, location: str, words: str) -> None:
    reading = read(tmp_path, {"bad.yaml": text, "good.yaml": service("good")})
    assert ref("good") in reading.objects
    assert list(reading.refused) == [location]
    import re

    assert re.search(words, reading.refused[location].message)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe4\n")
    reading = read(tmp_path, {"good.yaml": service("good")})
    assert reading.refused["latin.yaml:2"].message == "is no UTF-8 text: save it as UTF-8"
    assert ref("good") in reading.objects


def test_unknown_kinds_are_warned_of(tmp_path: Path) -> None:
    reading = read(tmp_path, {"a.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"})
    assert reading.warnings == ["a.yaml:1: Deployment of apps is not a kind that penstock reads"]
    assert not reading.refused


def test_of_two_files_the_first_path_counts_and_both_are_named(tmp_path: Path) -> None:
    reading = read(tmp_path, {"b.yaml": service("x", 2), "a.yaml": "\n" + service("x", 1), "c/a.yaml": service("x", 3)})
    assert port(reading, "x") == 1
    assert {location: one.message for location, one in reading.refused.items()} == {
        f"{name}:1": "Service default/x stands in a.yaml:2 already, which counts: remove one of the two"
        for name in ("b.yaml", "c/a.yaml")
    }


def test_a_missing_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingDirectory, match="is not a directory: name the directory"):
        read_directory(tmp_path / "none", "local")


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "a.yaml").write_text(service("a"))
    (root / "dir").symlink_to(outside)
    (root / "loop").symlink_to(root)
    reading = read(root, {"b.yaml": service("b")})
    assert sorted(one.name for one in reading.objects) == ["a", "b"]
    assert not reading.refused


def test_refusals_of_one_list_are_all_told(tmp_path: Path) -> None:
    items = [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}} for name in ("A", "B")]
    reading = read(tmp_path, {"l.json": json.dumps({"apiVersion": "v1", "kind": "List", "items": items})})
    assert reading.refused["l.json:1"].message.count("metadata.name") == 2


def test_a_megabyte_and_ten_thousand_documents(tmp_path: Path) -> None:
    big = service("big").replace("metadata: {", "metadata: {annotations: {a: " + "x" * 1_000_000 + "}, ")
    reading = read(tmp_path, {"big.yaml": big, "many.yaml": "---\n".join(service(f"s{n}") for n in range(10_000))})
    assert len(reading.objects) == 10_001
    assert not reading.refused


def test_an_object_too_large_for_a_record_is_refused(tmp_path: Path) -> None:
    big = service("big").replace("metadata: {", "metadata: {annotations: {a: " + "x" * 4_000_000 + "}, ")
    reading = read(tmp_path, {"big.yaml": big})
    assert "split it" in reading.refused["big.yaml:1"].message


class TestDirectory:
    """What is read again, and what it touches."""

    def test_only_what_changed_is_touched(self, tmp_path: Path) -> None:
        read(tmp_path, {"a.yaml": service("a"), "b.yaml": service("b") + "---\n" + service("c")})
        directory = Directory(tmp_path, "local")
        assert {one.name for one in directory.look()} == {"a", "b", "c"}
        assert directory.look() == set()
        (tmp_path / "b.yaml").write_text("# moved down\n" + service("b") + "---\n" + service("c", 81))
        assert {one.name for one in directory.look([str(tmp_path / "b.yaml")])} == {"c"}
        (tmp_path / "a.yaml").unlink()
        assert {one.name for one in directory.look()} == {"a"}
        assert directory.object(ref("a")) is None
        assert not directory.keeps(ref("a"))

    def test_a_broken_file_keeps_its_last_good_state(self, tmp_path: Path) -> None:
        read(tmp_path, {"a.yaml": service("a")})
        directory = Directory(tmp_path, "local")
        directory.look()
        (tmp_path / "a.yaml").write_text("kind: [\n")
        directory.look()
        found = directory.object(ref("a"))
        assert found is not None
        assert [one.location for one in directory.refusals()] == ["a.yaml:1"]
        assert not directory.is_partial
        (tmp_path / "a.yaml").write_text(service("b"))
        assert {one.name for one in directory.look()} == {"a", "b"}
        assert directory.object(ref("a")) is None
        assert directory.refusals() == []

    def test_a_file_broken_from_the_start_keeps_what_the_log_has(self, tmp_path: Path) -> None:
        read(tmp_path, {"a.yaml": "kind: [\n"})
        directory = Directory(tmp_path, "local")
        directory.look()
        assert directory.is_partial
        assert directory.keeps(ref("whatever"))

    def test_a_refused_document_keeps_its_object(self, tmp_path: Path) -> None:
        read(tmp_path, {"a.yaml": service("a")})
        directory = Directory(tmp_path, "local")
        directory.look()
        (tmp_path / "a.yaml").write_text(service("a").replace("ports: [", "ports: [5, "))
        assert directory.look() == {ref("a")}
        assert directory.object(ref("a")) is None
        assert directory.keeps(ref("a"))

    def test_the_next_file_takes_over(self, tmp_path: Path) -> None:
        read(tmp_path, {"a.yaml": service("x", 1), "b.yaml": service("x", 2)})
        directory = Directory(tmp_path, "local")
        directory.look()
        (tmp_path / "a.yaml").unlink()
        assert directory.look() == {ref("x")}
        found = directory.object(ref("x"))
        assert found is not None
        assert found.name == "b.yaml"
        assert directory.refusals() == []

    def test_a_directory_that_goes_keeps_everything_and_says_so(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        read(root, {"a.yaml": service("a")})
        directory = Directory(root, "local")
        directory.look()
        root.rename(tmp_path / "away")
        assert directory.look() == set()
        assert directory.object(ref("a")) is not None
        assert "is gone" in directory.refusals()[0].message

    def test_a_mounted_config_map_switches_as_a_whole(self, tmp_path: Path) -> None:
        read(tmp_path, {"..1/a.yaml": service("a", 1), "..2/a.yaml": service("a", 2)})
        (tmp_path / "..data").symlink_to("..1")
        (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
        directory = Directory(tmp_path, "local")
        assert directory.look() == {ref("a")}
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        assert directory.look([str(tmp_path / "..data")]) == {ref("a")}
        found = directory.object(ref("a"))
        assert found is not None
        assert found.object["spec"]["ports"][0]["port"] == 2

    @pytest.mark.parametrize("others", [3, 300])
    def test_a_file_renamed_into_place_costs_that_file(
        self, tmp_path: Path, others: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its hidden name is gone by the time the event is heard, which says nothing of the other files."""
        read(tmp_path, {f"sub/{number}.yaml": service(f"s{number}") for number in range(others)})
        directory = Directory(tmp_path, "local")
        directory.look()
        looked: list[Path] = []

        def counted(path: Path) -> Signature | None:
            looked.append(path)
            return signature(path)

        monkeypatch.setattr("streams.sources.listing.signature", counted)
        for hidden, name in ((".a.yaml", "a.yaml"), ("sub/.b.yaml.tmp", "sub/b.yaml")):
            (tmp_path / hidden).write_text(service(Path(name).stem))
            (tmp_path / hidden).rename(tmp_path / name)
            found = directory.look([str(tmp_path / hidden), str(tmp_path / name)])
            assert found == {ref(Path(name).stem)}
        assert looked == [tmp_path / "a.yaml", tmp_path / "sub/b.yaml"]

    @pytest.mark.parametrize("before", ["sub", "sub.yaml", ".sub", "..data"])
    def test_a_folder_that_is_gone_takes_what_stood_in_it(self, tmp_path: Path, before: str) -> None:
        """Only its own name is told; a hidden one may be what a link leads into."""
        read(tmp_path, {f"{before}/a.yaml": service("a")})
        if before.startswith("."):
            (tmp_path / "a.yaml").symlink_to(f"{before}/a.yaml")
        directory = Directory(tmp_path, "local")
        assert directory.look() == {ref("a")}
        away = tmp_path.parent / f"{tmp_path.name}-away"
        (tmp_path / before).rename(away)
        assert directory.look([str(tmp_path / before)]) == {ref("a")}
        away.rename(tmp_path / before)
        assert directory.look([str(tmp_path / before)]) == {ref("a")}


class TestStamp:
    """What the log gets of an object."""

    sealer = Sealer(bytes(range(KEY_BYTES)))

    def test_generation_grows_with_content_only(self) -> None:
        first = stamped(ref("a"), {"metadata": {"name": "a"}, "spec": {"x": 1}}, None, _NOW, self.sealer)
        assert first["metadata"] == {"name": "a", "namespace": "default", "creationTimestamp": _NOW, "generation": 1}
        labelled = stamped(
            ref("a"), {"metadata": {"name": "a", "labels": {"l": "1"}}, "spec": {"x": 1}}, first, "later", self.sealer
        )
        assert labelled["metadata"]["generation"] == 1
        assert labelled["metadata"]["creationTimestamp"] == _NOW
        changed = stamped(ref("a"), {"metadata": {"name": "a"}, "spec": {"x": 2}}, labelled, "later", self.sealer)
        assert changed["metadata"]["generation"] == 2

    def test_what_the_manifest_gives_counts(self) -> None:
        given = {"metadata": {"name": "a", "creationTimestamp": "2020-01-01T00:00:00Z", "generation": 7}}
        assert (
            stamped(ref("a"), given, None, _NOW, self.sealer)["metadata"]["creationTimestamp"] == "2020-01-01T00:00:00Z"
        )

    def test_noise_is_left_out(self) -> None:
        noisy = {
            "metadata": {
                "name": "a",
                "managedFields": [],
                "resourceVersion": "5",
                "uid": "u",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x", "k": "v"},
            },
            "status": {"x": 1},
        }
        new = stamped(Ref("local", _API, "HTTPRoute", "default", "a"), noisy, None, _NOW, self.sealer)
        assert new == {
            "metadata": {
                "name": "a",
                "namespace": "default",
                "annotations": {"k": "v"},
                "creationTimestamp": _NOW,
                "generation": 1,
            }
        }

    def test_secrets_are_sealed_always_alike(self) -> None:
        secret = {
            "metadata": {"name": "s"},
            "data": {"a": "aGVsbG8=", "b": "not base64!"},
            "stringData": {"c": "hello"},
        }
        one = stamped(ref("s", kind="Secret"), secret, None, _NOW, self.sealer)
        assert "stringData" not in one
        assert all(str(value).startswith(PREFIX) for value in one["data"].values())
        assert one["data"]["a"] == one["data"]["c"]
        assert self.sealer.unseal_text(one["data"]["a"]) == b"hello"
        assert stamped(ref("s", kind="Secret"), secret, one, "later", self.sealer) == one

    def test_nothing_of_a_secret_but_its_known_fields_enters_the_log(self) -> None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "note": "hello"},
            "type": "Opaque",
            "stringdata": {"c": "hello"},
            "spec": {"data": "hello"},
            "immutable": True,
            "data": {"a": "aGVsbG8="},
        }
        one = stamped(ref("s", kind="Secret"), secret, None, _NOW, self.sealer)
        assert "hello" not in str(one)
        assert one.keys() == {"apiVersion", "kind", "metadata", "type", "immutable", "data"}


def test_what_kgateway_alone_serves_is_refused(tmp_path: Path) -> None:
    """Not passed over as a Pod is: what it says would be missed."""
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n")
    (tmp_path / "c.yaml").write_text(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XListenerSet\nmetadata: {name: s, namespace: n}\n"
    )
    found = read_directory(tmp_path, "local")
    assert {where: one.message for where, one in found.refused.items()} == {
        "c.yaml:1": "XListenerSet n/s: kind: is not served: write a ListenerSet of gateway.networking.k8s.io/v1",
    }
    assert found.warnings == ["b.yaml:1: Pod of v1 is not a kind that penstock reads"]
