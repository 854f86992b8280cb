"""Trees of conditions that choose what is done (xDS's matchers), and the messages of them that the library lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import betterproto2
from betterproto2 import Message
from envoy_data_plane.cel.expr import Expr, ParsedExpr
from envoy_data_plane.message_pool import default_message_pool
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherList,
    MatcherMatcherListFieldMatcher,
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicatePredicateList,
    MatcherMatcherListPredicateSinglePredicate,
    MatcherOnMatch,
)
from envoy_data_plane.xds.type.v3 import CelExpression

from engine.envoy.typed import packed
from engine.envoy.wire import construct

_PACKAGE: Final = "xds.type.matcher.v3"


@dataclass(eq=False, repr=False)
class HttpAttributesCelMatchInput(betterproto2.Message):
    """xds/type/matcher/v3/http_inputs.proto: Envoy's attributes of a request."""


@dataclass(eq=False, repr=False)
class CelMatcher(betterproto2.Message):
    """xds/type/matcher/v3/cel.proto: whether an expression says true."""

    expr_match: CelExpression | None = betterproto2.field(1, betterproto2.TYPE_MESSAGE, optional=True)
    description: str = betterproto2.field(2, betterproto2.TYPE_STRING)


default_message_pool.register_message(_PACKAGE, "HttpAttributesCelMatchInput", HttpAttributesCelMatchInput)
default_message_pool.register_message(_PACKAGE, "CelMatcher", CelMatcher)


def extension(name: str, type_name: str, message: Message) -> TypedExtensionConfig:
    """As Envoy's own of that name, in the words of xDS."""
    return construct(TypedExtensionConfig, name=name, typed_config=packed(type_name, message))


@cache
def expression(parsed: bytes) -> Expr:
    """An expression that was parsed: messages are never changed once they are built."""
    return Expr.parse(parsed)


def condition(parsed: bytes) -> MatcherMatcherListPredicate:
    """Whether an expression over Envoy's attributes, given as the bytes of a cel.expr.Expr, holds for a request."""
    said = construct(CelExpression, cel_expr_parsed=construct(ParsedExpr, expr=expression(parsed)))
    return single(
        extension(
            "envoy.matching.inputs.cel_data_input",
            f"{_PACKAGE}.HttpAttributesCelMatchInput",
            construct(HttpAttributesCelMatchInput),
        ),
        extension(
            "envoy.matching.matchers.cel_matcher", f"{_PACKAGE}.CelMatcher", construct(CelMatcher, expr_match=said)
        ),
    )


def single(about: TypedExtensionConfig, match: TypedExtensionConfig) -> MatcherMatcherListPredicate:
    """Whether something about a request matches."""
    found = construct(MatcherMatcherListPredicateSinglePredicate, input=about, custom_match=match)
    return construct(MatcherMatcherListPredicate, single_predicate=found)


def any_of(predicates: Sequence[MatcherMatcherListPredicate]) -> MatcherMatcherListPredicate:
    """Whether one of several holds."""
    if len(predicates) == 1:
        return predicates[0]
    found = construct(MatcherMatcherListPredicatePredicateList, predicate=list(predicates))
    return construct(MatcherMatcherListPredicate, or_matcher=found)


def first_of(
    choices: Sequence[tuple[MatcherMatcherListPredicate, TypedExtensionConfig]], otherwise: TypedExtensionConfig
) -> Matcher:
    """What stands beside the first that holds; else the other."""
    found = [
        construct(
            MatcherMatcherListFieldMatcher, predicate=predicate, on_match=construct(MatcherOnMatch, action=action)
        )
        for predicate, action in choices
    ]
    return construct(
        Matcher,
        matcher_list=construct(MatcherMatcherList, matchers=found) if found else None,
        on_no_match=construct(MatcherOnMatch, action=otherwise),
    )
