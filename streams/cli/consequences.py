"""What would be otherwise, for people and for programs: of changes that nobody said yet, and of another version."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from engine.ref import parse_ref
from streams.cli.commands.diff import Level, print_diff, section, told_diff
from streams.cli.limits import EXCEEDED, Limit, judged, words
from streams.cli.output import fail, note, say

if TYPE_CHECKING:
    from engine.history.answers import AnswerChange, Answers, Asked, Outcome
    from engine.history.answers import Said as Answered
    from engine.history.radius import Radius, Reach
    from engine.history.statuses import Said, StatusChange, Turned
    from engine.history.what_if import State, WhatIf
    from engine.seal import Sealer
    from streams.cli.sample import Sample
    from streams.xds.validation import Rejection

REJECTED: Final = 7
"""The exit code where Envoy would reject what would be served."""
_SHOWN: Final = 20
"""Of each list that a person reads; all is in JSON."""
_QUIET_SECONDS: Final = 2.0

Requests = Annotated[
    str | None,
    typer.Option("--requests", help="Requests to ask before and after: lines, JSON, or an access log; - for stdin."),
]
Base = Annotated[
    str | None, typer.Option("--base", help="Scheme, host and port of requests that do not say theirs: a URL.")
]
Envoy = Annotated[Path | None, typer.Option("--envoy", help="The Envoy that is asked; else PENSTOCK_ENVOY.")]
NoEnvoy = Annotated[bool, typer.Option("--no-envoy", help="Do not ask an Envoy whether it takes what would be served.")]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked beside what differs: limits, a sample of requests, and the Envoy to ask (None for none)."""

    limits: list[Limit]
    sample: Sample | None = None
    envoy: Path | None = None


@dataclass(frozen=True, slots=True)
class Consequences:
    """All that is answered; None of what was not asked."""

    what_if: WhatIf
    answers: Answers | None
    passed_over: int
    rejections: list[Rejection] | None
    limits: list[dict[str, Any]]

    @property
    def code(self) -> int:
        """The exit code."""
        if self.rejections:
            return REJECTED
        return EXCEEDED if any(one["exceeded"] for one in self.limits) else 0


def wish(limits: list[Limit], requests: str | None, base: str | None, envoy: Path | None, *, validate: bool) -> Wish:
    """What is asked; what is off ends the command. `envoy` None is the one that `penstock run` would take."""
    from streams.cli.sample import sample  # noqa: PLC0415  slow to import

    if requests is None and (base is not None or any(one.name == "--max-requests-changed" for one in limits)):
        fail("name the requests that are meant with --requests FILE", 2)
    return Wish(limits, sample(requests, base) if requests is not None else None, _binary(envoy) if validate else None)


def _binary(path: Path | None) -> Path:
    from streams.sinks.local_envoy import EnvoyMissing, checked, envoy_binary  # noqa: PLC0415  slow to import

    try:
        return checked(envoy_binary(path))
    except EnvoyMissing as error:
        fail(f"{error}; or leave it out with --no-envoy", 3)


async def weighed(before: State, after: State, sealer: Sealer, asked: Wish) -> Consequences:
    """What is otherwise `after`, and all that was asked of it. An Envoy that cannot be asked ends the command."""
    from engine.history.answers import answers  # noqa: PLC0415  slow to import
    from engine.history.diff import others  # noqa: PLC0415
    from engine.history.explain import configs  # noqa: PLC0415
    from engine.history.what_if import what_if  # noqa: PLC0415
    from streams.xds.court import Court, Undecided  # noqa: PLC0415
    from streams.xds.validation import rejections  # noqa: PLC0415

    found = what_if(before, after)
    old, new = before.moment.fragments, after.moment.fragments
    said = None
    if asked.sample is not None:
        said = answers(configs(old, sealer), configs(new, sealer), _told_of(asked.sample.asked))
    rejected = None
    if asked.envoy is not None:
        court = Court(asked.envoy, sealer)
        try:
            rejected = [one async for one in rejections(court, new, others(new, old).values())]
        except Undecided as error:
            fail(f"{error}: name another Envoy with --envoy, or leave it out with --no-envoy", 3)
    counts = (said.changed, said.of) if said is not None else None
    passed = asked.sample.passed_over if asked.sample is not None else 0
    return Consequences(found, said, passed, rejected, judged(asked.limits, found.radius, counts))


def _told_of(sample: tuple[Asked, ...]) -> Iterator[Asked]:
    """Says how far it is, where that takes long."""
    told = time.monotonic()
    for number, one in enumerate(sample):
        if time.monotonic() - told > _QUIET_SECONDS:
            told = time.monotonic()
            note(f"{number} of {len(sample)} requests are asked")
        yield one


def told(found: Consequences) -> dict[str, Any]:
    """All of it as JSON."""
    what_if, said, rejected = found.what_if, found.answers, found.rejections
    requests = None
    if said is not None:
        heads = {"of": said.of, "changed": said.changed, "passed_over": found.passed_over}
        requests = {**heads, "answers": [_answer(one) for one in said.changes]}
    return {
        "diff": told_diff(what_if.diff, frozenset(Level)),
        "statuses": [_status(one) for one in what_if.statuses],
        "radius": {name: _reach(getattr(what_if.radius, name)) for name in ("hosts", "routes", "gateways")},
        "requests": requests,
        "envoy": None if rejected is None else {"rejected": [_rejection(one) for one in rejected]},
        "limits": found.limits,
    }


def show(found: Consequences, levels: frozenset[Level]) -> None:
    """All of it for a person."""
    what_if, said, rejected = found.what_if, found.answers, found.rejections
    print_diff(what_if.diff, levels)
    section("statuses", [line for one in what_if.statuses for line in _lines(one)])
    section("reach", list(_radius(what_if.radius)))
    if said is not None:
        section("requests", [f"  {said.changed} of {said.of} are answered otherwise"])
        for line in few([line for one in said.changes for line in _answer_lines(one)]):
            say(line)
    if rejected is None:
        section("envoy's word", ["  it was not asked (--no-envoy)"])
    else:
        lines = [f"  {_fragment(one)}: {one.words}" for one in rejected]
        section("envoy's word", few(lines) or ["  it takes what would be served"])
    section("limits", [f"  {words(one)}" for one in found.limits if one["exceeded"]])


def few(lines: list[str]) -> list[str]:
    """As many as a person reads."""
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], f"  and {more} more"] if more > 0 else lines


def _short(ref: str) -> str:
    one = parse_ref(ref)
    return "/".join(part for part in (one.kind, one.namespace, one.name) if part)


# -- conditions and reach ---------------------------------------------------------------------------------------------


def _status(one: StatusChange) -> dict[str, Any]:
    return {"ref": one.ref, "conditions": [_turned(each) for each in one.conditions]}


def _turned(one: Turned) -> dict[str, Any]:
    return {"of": one.of, "type": one.type, "before": _condition(one.before), "after": _condition(one.after)}


def _condition(one: Said | None) -> dict[str, str] | None:
    return one._asdict() if one is not None else None


def _lines(one: StatusChange) -> list[str]:
    lines = [f"  {_short(one.ref)}"]
    for each in one.conditions:
        of = f"{each.of}: " if each.of else ""
        lines.append(f"      {of}{each.type} {_words(each.before)} -> {_words(each.after, each.before)}")
    return few(lines)


def _words(one: Said | None, before: Said | None = None) -> str:
    if one is None:
        return "(absent)"
    is_worth = one.message and (before is not None or one.status != "True")
    return f"{one.status} {one.reason}" + (f": {one.message}" if is_worth else "")


def _reach(one: Reach) -> dict[str, Any]:
    found = {name: list(some) for name, some in asdict(one).items() if name != "of"}
    return {"of": one.of, "share": _share(one), **found}


def _share(one: Reach) -> float:
    return round((len(one.changed) + len(one.removed)) / one.of, 6) if one.of else 0.0


def _radius(found: Radius) -> Iterable[str]:
    for name in ("hosts", "routes", "gateways"):
        one: Reach = getattr(found, name)
        yield (
            f"  {name}: {len(one.changed)} of {one.of} become others, {len(one.removed)} go, {len(one.added)} come "
            f"({_share(one):.1%} of what is served)"
        )


# -- answers and Envoy's word -----------------------------------------------------------------------------------------


def _answer(one: AnswerChange) -> dict[str, Any]:
    heads = {"request": one.text, "many": one.many, "gateway": one.gateway, "port": one.port}
    return {**heads, "before": _answered(one.before), "after": _answered(one.after)}


def _answered(one: Answered | None) -> dict[str, Any] | None:
    if one is None:
        return None
    outcomes = [{**each._asdict(), "endpoints": list(each.endpoints)} for each in one.outcomes]
    return {"outcomes": outcomes, "undecided": list(one.undecided)}


def _answer_lines(one: AnswerChange) -> list[str]:
    old, new = _answer_words(one.before), _answer_words(one.after)
    if old == new:
        new = f"{new}, at other endpoints or past other filters"
    return [f"  {one.text} ({_short(one.gateway)} port {one.port}): {old} -> {new}"]


def _answer_words(one: Answered | None) -> str:
    if one is None:
        return "no Gateway there"
    return " and ".join(_outcome(each) for each in one.outcomes)


def _outcome(one: Outcome) -> str:
    what = one.backend or " ".join(part for part in (one.kind, str(one.status or ""), one.to) if part)
    if one.backend and one.status is not None:
        what = f"{one.kind} {one.status} ({one.backend})"
    share = f" for {one.share:.1%}" if one.share < 1 else ""
    return what + (f" by {one.route}" if one.route else "") + share


def _rejection(one: Rejection) -> dict[str, Any]:
    key = one.fragment.key
    objects = [str(ref) for ref, _ in one.fragment.provenance]
    return {
        "gateway": str(key.gateway),
        "kind": key.kind.value,
        "name": key.name,
        "error": one.words,
        "objects": objects,
    }


def _fragment(one: Rejection) -> str:
    key = one.fragment.key
    behind = ", ".join(_short(str(ref)) for ref, _ in one.fragment.provenance if ref != key.gateway)
    return f"{_short(str(key.gateway))} rejects {key.kind.value} {key.name}" + (f" (of {behind})" if behind else "")
