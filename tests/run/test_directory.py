"""A change of one file costs that file, however many there are: looks are counted, not time."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ref import Ref
from streams.sources.directory import Directory


def service(name: str, port: int = 80) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: http, port: {port}}}]}}\n"


S1 = Ref("local", "", "Service", "default", "s1")


class _Counted(dict[str, object]):
    """Counts how often it is looked through or into."""

    looks = 0

    def __iter__(self):
        for name in super().__iter__():
            self.looks += 1
            yield name

    def __getitem__(self, name: str):
        self.looks += 1
        return super().__getitem__(name)

    def values(self):
        return [self[name] for name in self]


@pytest.mark.parametrize("files", [3, 60])
def test_a_change_of_one_file_looks_into_no_other(tmp_path: Path, files: int) -> None:
    for number in range(files):
        (tmp_path / f"f{number}.yaml").write_text(service(f"s{number}"))
    (tmp_path / "bad.yaml").write_text("kind: [")
    (tmp_path / "unread.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n")
    directory = Directory(tmp_path, "local")
    directory.look()
    directory._files = counted = _Counted(directory._files)
    path = tmp_path / "f1.yaml"
    path.write_text(service("s1", 81))
    assert directory.look([str(path)]) == {S1}
    assert directory.object(S1) is not None
    assert [one.name for one in directory.refusals()] == ["bad.yaml"]
    assert [one.name for one in directory.unread()] == ["unread.yaml"]
    assert directory.is_partial
    assert counted.looks <= 4
    (tmp_path / "bad.yaml").unlink()
    (tmp_path / "unread.yaml").unlink()
    directory.look()
    assert (directory.refusals(), directory.unread(), directory.is_partial) == ([], [], False)
