"""Draws random values that a structural schema takes, the CRD's; of what a schema cannot say it knows good words."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests import support

Schema = Mapping[str, Any]

_OPTIONAL: Final = 0.35
"""How often a field that may be left out is there."""
_DEEP: Final = 4
"""From this depth on half as often."""
_BLOCKS: Final = 2.5
"""How many of a spec's own fields there are, about."""
_MANY: Final = 3
_INT32: Final = 2**31 - 1
_HAS: Final = re.compile(r"has\(self\.(\w+)\)")
_COUNTED: Final = re.compile(r"^\[(?P<fields>[^\]]*)\]\.filter\(x,x==true\)\.size\(\) (?P<how>==|<=|>=) 1$")

_PEM: Final = f"{Path(support.__file__).parent}/{{}}.pem"
_KEYS: Final = '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "HoEuquhd_Cf2GDuL4b2mwiZ2kr6qSXH9d07yyqYuW9E"}]}'
WORDS: Final[Mapping[str, tuple[Any, ...]]] = {
    "name": ("s0", "s1", "s2", "keys", "x-one", "nowhere"),
    "key": ("token", "x-key", "tls.crt"),
    "kind": ("Service", "Secret", "Backend", "ConfigMap"),
    "group": ("", "", "gateway.kgateway.dev"),
    "namespace": ("default", "default", "other"),
    "host": ("127.0.0.1", "backend.example.com", "::1"),
    "port": (80, 80, 8080),
    "header": ("x-one", "x-two", "authorization"),
    "path": ("/", "/a", "/a/b%20c", "/dev/null"),
    "pattern": ("^/a/(.*)$", "/x", "("),
    "safeRegex": ("a.*", "^x$", "["),
    "substitution": (r"/b/\1", "/y"),
    "allowOrigins": ("https://a.example.com", "https://*.example.com", "*"),
    "retryOn": ("5xx", "reset", "connect-failure", "cancelled"),
    "users": tuple(f"{name}:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=" for name in ("ann", "bob", "eve", "zoe")),
    "inline": (_KEYS, _KEYS, _KEYS, "{}"),
    "value": ("1", "%REQ(x-one)%", "50%", "a b"),
    "stringFormat": ("%REQ(:PATH)% %RESPONSE_CODE%\n", "plain"),
    "text": ("%RESPONSE_CODE% said", "no"),
    "celExpression": ("response.code >= 400", "request.url_path == '/a'", "no such"),
    "celMatcher": ("request.path == '/a'", "1 + 1"),
    "matchExpressions": ("request.path == '/a'", "request.headers['x-one'] == '1'", "true", *["1 < 2"] * 9, "request.nothing == 1"),
    "xffTrustedCIDRs": ("10.0.0.0/8", "192.168.1.1/32", "10.0.0.1"),
    "cidrs": ("10.0.0.0/8", "10.1.0.0/16", "192.168.1.1", *["2001:db8::/32"] * 20, "10.0.0.1/8"),
    "statusCode": (403, 451, 503),
    "blockedByHeaderName": ("x-blocked-by", "x-one"),
    "aggression": ("1.0", "2", "0.5"),
    "sni": ("backend.example.com",),
    "secretRef.name": ("keys", "keys", "keys", "nowhere"),
    "secretRef.kind": ("Secret",),
    "secretRef.group": ("",),
    "secretRef.namespace": ("default", "default", "default", "other"),
    "secretRef.key": ("token", "x-key", "nothing"),
    "backendRef.name": ("s0", "s1", "s0", "nowhere"),
    "backendRef.kind": ("Service",),
    "backendRef.group": ("",),
    "backendRef.namespace": ("default", "default", "default", "other"),
    "backendRef.port": (80,),
    "extensionRef.name": ("e11", "e36", "e61", "nowhere"),
    **{
        word: answers
        for block, name in (("extAuth", "auth"), ("extProc", "processor"), ("global", "limiter"), ("jwtAuth", "tokens"))
        for word, answers in (
            (f"{block}.extensionRef", ()),
            (f"{block}.extensionRef.name", (name, name, name, "e11", "nowhere")),
            (f"{block}.extensionRef.namespace", ("default",)),
        )
    },
    "fileSink.path": ("/dev/null",),
    "tlsCertificate": (_PEM.format("client"),),
    "tlsKey": (_PEM.format("client"),),
    "rootCA": (_PEM.format("trusted"),),
}
"""By field, what users write there: good words, and a few bad ones."""
_TEXTS: Final = (
    "5s", "100ms", "1h30m", "0s", "2s500ms", "1Ki", "64Ki", "1Mi", "1", "abcd", "x-one", "content-type", "a.example.com",
    "shop", "/a", "/a/b", "https://a.example.com", "System", "default/ca", "0a0B", "us-east-1", "123456789012",
    "arn:aws:iam::123456789012:role/shop", "$LATEST", "one two", "Über", "a" * 60, "%", '"', "*", "200", "65536",
)  # fmt: skip
_ALWAYS: Final = {"providers"}
"""A list that may be left out, and that nothing works without."""
_FILES: Final = {"fileSink.path", "tlsCertificate", "tlsKey", "rootCA"}
_HOSTILE: Final = (
    "a" * 1000, "\n", "a\r\nx-evil: 1", "\x00", "\u202e", "😀", "{{ x }}", "%REQ(", "%", "%%", "../../etc", "';--", "<a>", "]]", "-1",
    "99999999999999999999", "null", " ", "", ".", "..", "*.", "[::1]:80", "a" * 253, "a." * 100, "(a+)+$", "a{1001}", "1e999",
)  # fmt: skip
_SELDOM: Final = 0.03


class Drawing:
    """Values out of one `random.Random`: the same seed draws the same."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def value(self, schema: Schema, field: str = "", depth: int = 0) -> Any:
        """A value of a schema; `field` is where it stands."""
        if "enum" in schema:
            return self.chance.choice(schema["enum"])
        if schema.get("x-kubernetes-int-or-string"):
            return self.chance.choice((0, 1, 25, 100, 8080, "50%", "http", "1Mi", "100000"))
        if "anyOf" in schema:
            return self.value({**schema, **self.chance.choice(schema["anyOf"]), "anyOf": ()}, field, depth)
        drawn = {
            "object": self._object,
            "array": self._array,
            "string": self._text,
            "integer": self._number,
            "number": self._number,
            "boolean": self._flag,
        }.get(str(schema.get("type")))
        return drawn(schema, field, depth) if drawn else {}

    def _object(self, schema: Schema, field: str, depth: int) -> Any:
        properties = schema.get("properties", {})
        if not properties:
            return self._map(schema, field, depth)
        names = set(schema.get("required", ()))
        often = min(_OPTIONAL, _BLOCKS / len(properties)) if depth == 0 else _OPTIONAL
        often = often / 2 if depth >= _DEEP else often
        names |= {name for name in properties if self.chance.random() < often}
        names |= _ALWAYS & properties.keys()
        for rule in schema.get("x-kubernetes-validations", ()):
            names = self._counted(rule["rule"], names)
        return {
            name: self.value(properties[name], _known(field, name), depth + 1) for name in properties if name in names
        }

    def _counted(self, rule: str, names: set[str]) -> set[str]:
        """As many of a rule's fields as it asks for, of those that say how many of some may be there."""
        found = _COUNTED.match(rule)
        if found is None:
            return names
        fields = sorted(_HAS.findall(found["fields"]))
        there = [one for one in fields if one in names]
        if (found["how"] == ">=" and there) or (found["how"] == "<=" and len(there) <= 1):
            return names
        return (names - set(fields)) | {self.chance.choice(there or fields)}

    def _map(self, schema: Schema, field: str, depth: int) -> Any:
        values = schema.get("additionalProperties")
        if not isinstance(values, Mapping):
            return {} if self.chance.random() < _OPTIONAL else {"a": "b"}
        least = int(schema.get("minProperties", 0))
        many = self.chance.randint(least, max(least, 2))
        return {f"x-{number}": self.value(values, field, depth + 1) for number in range(many)}

    def _array(self, schema: Schema, field: str, depth: int) -> Any:
        least = int(schema.get("minItems", 0))
        most = min(int(schema.get("maxItems", _MANY)), max(least, _MANY))
        if "maxItems" in schema and self.chance.random() < _SELDOM:
            most = int(schema["maxItems"])
        found = [self.value(schema.get("items", {}), field, depth + 1) for _ in range(self.chance.randint(least, most))]
        keys = schema.get("x-kubernetes-list-map-keys")
        if keys or schema.get("x-kubernetes-list-type") == "set":
            told = {repr([one.get(key) for key in keys] if keys else one): one for one in found}
            found = list(told.values())
        return found

    def _text(self, schema: Schema, field: str, depth: int) -> str:  # noqa: ARG002  one signature for all
        hostile = [one for one in _HOSTILE if fits(schema, one)] if self._is_odd(field) else []
        if hostile:
            return self.chance.choice(hostile)
        good = [one for one in WORDS.get(field, ()) if isinstance(one, str) and fits(schema, one)]
        if good:
            return self.chance.choice(good)
        some = [one for one in _TEXTS if fits(schema, one)]
        if not some:
            msg = f"give {__name__} a word for {field}: {schema}"
            raise LookupError(msg)
        return self.chance.choice(some)

    def _is_odd(self, field: str) -> bool:
        """Files must be there: a proxy that lacks one rejects what names it, whoever wrote it."""
        return field not in _FILES and self.chance.random() < _SELDOM

    def _number(self, schema: Schema, field: str, depth: int) -> int:  # noqa: ARG002  one signature for all
        least = int(schema.get("minimum", 0)) + bool(schema.get("exclusiveMinimum"))
        most = int(schema.get("maximum", _INT32)) - bool(schema.get("exclusiveMaximum"))
        good = [one for one in WORDS.get(field, ()) if isinstance(one, int) and least <= one <= most]
        if good:
            return self.chance.choice(good)
        return self.chance.choice(
            (least, min(most, least + 1), min(most, max(least, 100)), self.chance.randint(least, most), most)
        )

    def _flag(self, schema: Schema, field: str, depth: int) -> bool:  # noqa: ARG002  one signature for all
        return self.chance.random() < 0.5  # noqa: PLR2004


def _known(above: str, name: str) -> str:
    """The field under which its words stand: some fields of one name mean another thing below another."""
    return f"{above}.{name}" if f"{above}.{name}" in WORDS else name


def fits(schema: Schema, text: str) -> bool:
    """Whether a text is one that a schema takes: its length, its pattern, and its rule of durations."""
    if not int(schema.get("minLength", 0)) <= len(text) <= int(schema.get("maxLength", len(text))):
        return False
    patterns = [schema["pattern"]] if "pattern" in schema else []
    for rule in schema.get("x-kubernetes-validations", ()):
        found = re.search(r"matches\((?:self, )?'((?:[^'\\]|\\.)*)'\)", rule["rule"])
        if found:
            patterns.append(found[1].replace("\\\\", "\\"))
    return all(re.search(pattern.replace("\\x60", "`"), text) for pattern in patterns)
