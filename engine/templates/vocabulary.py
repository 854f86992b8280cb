"""Which functions, filters and tests there are, and how many arguments each takes. What they do is in the runtime."""

from __future__ import annotations

from typing import Final, NamedTuple


class Takes(NamedTuple):
    """How many arguments by place, at least and at most, and which by name."""

    least: int
    most: int
    names: tuple[str, ...] = ()


FUNCTIONS: Final = {
    "base64_decode": Takes(1, 1),
    "base64_encode": Takes(1, 1),
    "base64url_decode": Takes(1, 1),
    "base64url_encode": Takes(1, 1),
    "body": Takes(0, 0),
    "context": Takes(0, 0),
    "dict": Takes(0, 1, ("*",)),
    "env": Takes(1, 1),
    "get_cookie": Takes(1, 1),
    "get_cookie_i": Takes(1, 1),
    "header": Takes(1, 1),
    "namespace": Takes(0, 1, ("*",)),
    "range": Takes(1, 3),
    "raw_string": Takes(1, 1),
    "replace_with_random": Takes(2, 2),
    "replace_with_string": Takes(3, 3),
    "request_header": Takes(1, 1),
    "substring": Takes(2, 3),
}
"""kgateway's own, and MiniJinja's."""

FILTERS: Final = {
    "abs": Takes(0, 0),
    "attr": Takes(1, 1),
    "batch": Takes(1, 2),
    "bool": Takes(0, 0),
    "capitalize": Takes(0, 0),
    "count": Takes(0, 0),
    "d": Takes(0, 2, ("boolean",)),
    "default": Takes(0, 2, ("boolean",)),
    "dictsort": Takes(0, 0, ("by", "case_sensitive", "reverse")),
    "e": Takes(0, 0),
    "escape": Takes(0, 0),
    "first": Takes(0, 0),
    "float": Takes(0, 0),
    "indent": Takes(1, 3, ("width", "first", "blank")),
    "int": Takes(0, 0),
    "items": Takes(0, 0),
    "join": Takes(0, 1),
    "last": Takes(0, 0),
    "length": Takes(0, 0),
    "lines": Takes(0, 0),
    "list": Takes(0, 0),
    "lower": Takes(0, 0),
    "map": Takes(0, 16, ("attribute", "default")),
    "max": Takes(0, 0),
    "min": Takes(0, 0),
    "reject": Takes(0, 2),
    "rejectattr": Takes(1, 3),
    "replace": Takes(2, 2),
    "reverse": Takes(0, 0),
    "round": Takes(0, 1),
    "safe": Takes(0, 0),
    "select": Takes(0, 2),
    "selectattr": Takes(1, 3),
    "slice": Takes(1, 2),
    "sort": Takes(0, 0, ("attribute", "case_sensitive", "reverse")),
    "split": Takes(0, 2),
    "string": Takes(0, 0),
    "sum": Takes(0, 0),
    "title": Takes(0, 0),
    "tojson": Takes(0, 0),
    "trim": Takes(0, 1),
    "unique": Takes(0, 0, ("attribute", "case_sensitive")),
    "upper": Takes(0, 0),
    "urlencode": Takes(0, 0),
}

TESTS: Final = {
    "boolean": Takes(0, 0),
    "defined": Takes(0, 0),
    "divisibleby": Takes(1, 1),
    "endingwith": Takes(1, 1),
    "eq": Takes(1, 1),
    "equalto": Takes(1, 1),
    "even": Takes(0, 0),
    "false": Takes(0, 0),
    "float": Takes(0, 0),
    "ge": Takes(1, 1),
    "greaterthan": Takes(1, 1),
    "gt": Takes(1, 1),
    "in": Takes(1, 1),
    "int": Takes(0, 0),
    "integer": Takes(0, 0),
    "iterable": Takes(0, 0),
    "le": Takes(1, 1),
    "lessthan": Takes(1, 1),
    "lower": Takes(0, 0),
    "lt": Takes(1, 1),
    "mapping": Takes(0, 0),
    "ne": Takes(1, 1),
    "none": Takes(0, 0),
    "number": Takes(0, 0),
    "odd": Takes(0, 0),
    "sequence": Takes(0, 0),
    "startingwith": Takes(1, 1),
    "string": Takes(0, 0),
    "true": Takes(0, 0),
    "undefined": Takes(0, 0),
    "upper": Takes(0, 0),
}

BY_NAME: Final = {"map": ("filter", 0), "select": ("test", 0), "reject": ("test", 0), "selectattr": ("test", 1),
                  "rejectattr": ("test", 1)}  # fmt: skip
"""Filters that are given the name of a filter or test, and in which place: it must be written as a text."""

NOT_HERE: Final = {
    "autoescape": "no value is escaped here: escape with a filter",
    "block": "a template stands alone here: leave the marks out",
    "break": "Envoy's proxies of kgateway have it not: filter the loop with if",
    "call": "a macro is called in {{ }} here",
    "continue": "Envoy's proxies of kgateway have it not: filter the loop with if",
    "extends": "a template stands alone here",
    "from": "a template stands alone here",
    "import": "a template stands alone here",
    "include": "a template stands alone here",
}
"""Statements that MiniJinja has and we refuse, with what to do."""
