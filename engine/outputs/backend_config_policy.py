"""What a BackendConfigPolicy puts out: its status, for each Service and Backend that it stands at."""

from __future__ import annotations

from collections.abc import Iterable

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.backend import told_of
from engine.outputs.channels import POLICY, STATUS, Used
from engine.ref import Ref
from engine.resolve.backend import is_supported
from engine.resolve.backend_config import At, in_force
from engine.resolve.held import rejected
from engine.resolve.manifest import held_fact, items, spec_of
from engine.resolve.policy import blocks_of, served
from engine.resolve.service_import import IMPORT, imported
from engine.resolve.targets import target
from engine.resolve.values import BackendKey, Problem
from engine.status.policy import MOST, Reason, Standing, policy_status


def config_policy_outputs(graph: Reader, policy: Ref) -> Outputs:
    """The status of a policy; none where it names nothing that is there, by labels."""
    used: dict[Ref, list[Used]] = {}
    for gateway, backend, port, over in graph.claimed(POLICY, policy):
        used.setdefault(backend, []).append(Used(gateway, BackendKey(backend, port, over)))
    named = (target(policy, one) for one in items(spec_of(served(graph, policy, policy)).get("targetRefs")))
    targets = sorted({*named, *used})[:MOST]
    standings = [_standing(graph, policy, one, used.get(one, ())) for one in targets]
    if not standings:
        return Outputs()
    return Outputs(((STATUS, str(policy), document(policy_status(graph, policy, standings))),))


def is_there(graph: Reader, ref: Ref) -> bool:
    """Whether an object is there, good or not, or an import of what is exported; whatever else changes stops here."""
    return graph.get(imported, ref) is not None if ref.kind == IMPORT else graph.read(ref) is not None


def _standing(graph: Reader, policy: Ref, one: Ref, used: Iterable[Used]) -> Standing:
    missing = _missing(graph, policy, one)
    if missing:
        return Standing(one, missing=(missing,))
    uses = tuple(used)
    # Nobody serves it anything else than it is, where nobody uses it.
    gateways = tuple(dict.fromkeys(use.gateway for use in uses)) or (one,)
    won: dict[str, None] = {}
    lost: dict[str, Ref] = {}
    for gateway in gateways:
        winners = {found.field: found.policy for found in graph.get(in_force, At(gateway, one))}
        for mine in blocks_of(graph, gateway, policy):
            winner = winners.get(mine.field)
            if winner == policy:
                won[mine.field] = None
            elif winner is not None:
                lost[mine.field] = winner
    problems, more = _told(graph, policy, uses)
    return Standing(one, tuple(sorted(won)), tuple(sorted(lost.items())), problems, (), more)


def _missing(graph: Reader, policy: Ref, one: Ref) -> str:
    """Why a target is none; "" where it is one."""
    name = f"{one.kind} {one.namespace}/{one.name}"
    if not is_supported(one.group, one.kind):
        return f"{name} of {one.group or 'v1'} is not served: name a Service, a Backend or a ServiceImport"
    if not graph.get(is_there, one):
        if one.kind == IMPORT:
            return f"{name} does not exist: no cluster exports such a Service"
        return f"{name} does not exist: a targetRef names objects of the policy's own namespace, {policy.namespace}"
    return ""


def _told(
    graph: Reader, policy: Ref, uses: tuple[Used, ...]
) -> tuple[tuple[Problem, ...], tuple[tuple[str, str, str], ...]]:
    """What stands against it where it is used, and who beats its `tls`."""
    problems: dict[Problem, None] = {}
    beaten: dict[Ref, None] = {}
    for use in uses:
        if graph.fact(held_fact(use.gateway, policy)):
            problems[Problem("Invalid", rejected(graph, use.gateway, policy))] = None
        told = graph.get(told_of, use)
        problems |= {problem: None for whose, problem in told.problems if whose == policy}
        beaten |= {by: None for whose, by in told.beaten if whose == policy}
    more = (
        ("Overridden", Reason.CONFLICTED_WITH_BACKEND_TLS, f"spec.tls overridden by BackendTLSPolicy {_names(beaten)}"),
    )
    return tuple(problems), more if beaten else ()


def _names(refs: Iterable[Ref]) -> str:
    return ", ".join(f"{one.namespace}/{one.name}" for one in sorted(refs))
