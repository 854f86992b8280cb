"""Shares of a rule's requests: what Envoy does to a route only, and a backendRef asks for, gets a route of its own."""

from __future__ import annotations

from dataclasses import replace

from engine.resolve.values import MILLION, Destination, HeaderChange, Rewrite, RouteEntry, Rule


def shares(entry: RouteEntry) -> tuple[RouteEntry, ...]:
    """An entry for each way in which the backendRefs of one want requests treated, in the order in which they stand.

    Envoy draws one number a request, and holds it against every route that it tries: shares that follow one another
    take each request once, as the weights say, to a millionth (docs/decisions/0027-filters-of-backendrefs.md).
    """
    rule = _hashed(entry.rule)
    entry = replace(entry, rule=rule) if rule is not entry.rule else entry
    used = [one for one in rule.destinations if one.weight]
    ways: dict[Rule, list[Destination]] = {}
    for one in used:
        ways.setdefault(_way(rule, one), []).append(_left(rule, one))
    if len(ways) <= 1 and all(_left(rule, one) == one for one in used):
        return (entry,)
    total, before, begin = sum(one.weight for one in used), 0, 0
    found = []
    for number, (way, destinations) in enumerate(ways.items()):
        before += sum(one.weight for one in destinations)
        end = round(MILLION * before / total)
        if end > begin:
            order = f"{entry.order}+{number:02d}" if number else entry.order
            variant = f"/{number}" if number else ""
            whole = replace(way, destinations=tuple(destinations))
            found.append(replace(entry, rule=whole, order=order, variant=variant, share=(begin, end)))
        begin = end
    return tuple(found)


def _hashed(rule: Rule) -> Rule:
    """With what is hashed for its backends; a backend that does not hash is not disturbed by what another one does.

    Where backends hash differently it stays with them.
    """
    wanted = {one.hashes for one in rule.destinations if one.weight and one.hashes}
    if len(wanted) != 1:
        return rule
    return replace(rule, hashes=wanted.pop(), destinations=tuple(replace(one, hashes=()) for one in rule.destinations))


def _way(rule: Rule, one: Destination) -> Rule:
    """The rule as it treats requests to one of its backendRefs, without any."""
    if one.redirect is not None:
        headers = _then(rule.response_headers, one.response_headers)
        return Rule(rule.name, redirect=one.redirect, response_headers=headers, cors=one.cors or rule.cors)
    rewrite = rule.rewrite if _is_weighed(rule, one) else _both(rule.rewrite, one.rewrite)
    return replace(
        rule,
        destinations=(),
        rewrite=rewrite,
        mirrors=(*rule.mirrors, *one.mirrors),
        cors=one.cors or rule.cors,
        hashes=one.hashes or rule.hashes,
    )


def _left(rule: Rule, one: Destination) -> Destination:
    """The backendRef less what its way says: what Envoy can do to one of several clusters."""
    rewrite = one.rewrite if _is_weighed(rule, one) else None
    return replace(one, redirect=None, rewrite=rewrite, mirrors=(), cors=None, hashes=())


def _is_weighed(rule: Rule, one: Destination) -> bool:
    """Whether a weighted cluster can do the rewrite: a hostname only, since the route's own would come after it."""
    of_rule = rule.rewrite is not None and rule.rewrite.hostname is not None
    return one.rewrite is not None and one.rewrite.path is None and not of_rule


def _both(of_rule: Rewrite | None, own: Rewrite | None) -> Rewrite | None:
    if of_rule is None or own is None:
        return own or of_rule
    return Rewrite(own.hostname or of_rule.hostname, own.path or of_rule.path)


def _then(first: HeaderChange, second: HeaderChange) -> HeaderChange:
    """Both changes as one: Envoy removes before it sets, and sets before it adds."""
    gone = {name.lower() for name, _ in second.set} | set(second.remove)
    kept_set, kept_add = (tuple(one for one in ours if one[0].lower() not in gone) for ours in (first.set, first.add))
    return HeaderChange((*kept_set, *second.set), (*kept_add, *second.add), (*first.remove, *second.remove))
