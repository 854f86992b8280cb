"""Seeded mutants of the translation: the Envoy modules with one small change each; they live in memory only."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType, ModuleType

import engine.policies.cluster
from tests.support.syntax import parsed

MODULES = (
    "engine.envoy.route",
    "engine.envoy.route_filters",
    "engine.envoy.direct_response",
    "engine.envoy.backends.aws_lambda",
    "engine.envoy.backends.dynamic_forward_proxy",
    "engine.envoy.backends.failover",
    "engine.envoy.backends.gcp",
    "engine.envoy.named_host",
    "engine.envoy.shares",
    "engine.envoy.route_config",
    "engine.envoy.listener",
    "engine.envoy.cluster",
    "engine.envoy.hashing",
    "engine.envoy.merge",
    "engine.envoy.shape",
    "engine.envoy.tls_parameters",
    "engine.envoy.stream",
    "engine.envoy.upstream_tls",
    "engine.outputs.backend_config_policy",
    *(f"engine.policies.cluster.{one.name}" for one in pkgutil.iter_modules(engine.policies.cluster.__path__)),
    "engine.policies.backend_config.shape",
    "engine.resolve.backend_config",
    "engine.resolve.policy",
    "engine.resolve.precedence",
    "engine.resolve.kinds.http_route",
    "engine.resolve.kinds.grpc_route",
    "engine.resolve.matching",
    "engine.resolve.attachment",
    "engine.resolve.app_protocol",
    "engine.resolve.backend",
    "engine.resolve.backends.aws",
    "engine.resolve.backends.dynamic_forward_proxy",
    "engine.resolve.backends.gcp",
    "engine.resolve.backends.priority_groups",
    "engine.resolve.backends.static",
    "engine.resolve.filters",
    "engine.resolve.extension_ref",
    "engine.resolve.rule_extensions.direct_response",
    "engine.resolve.hostname",
    "engine.resolve.listener",
    "engine.resolve.rule",
    "engine.resolve.stream",
    "engine.resolve.gateway",
    "engine.resolve.backend_ref",
    "engine.resolve.backend_tls",
    "engine.resolve.termination",
    "engine.resolve.grant",
    "engine.resolve.namespace",
    "engine.outputs.lawful",
    "engine.status.gateway",
    "engine.status.listener",
    "engine.status.backend_tls_policy",
    "engine.status.policy",
    "engine.status.route",
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the `index`-th place of a kind in a module."""

    module: str
    kind: str
    line: int
    index: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.kind}"


def mutants() -> list[Mutant]:
    """Every place that can be changed, in the order of the source."""
    found = []
    for name in MODULES:
        tree = parsed(inspect.getsource(importlib.import_module(name)))
        places = _places(tree)
        found += [Mutant(name, _kind(node), _line(node), index) for index, node in enumerate(places)]
    return found


def chosen(count: int, seed: int) -> list[Mutant]:
    """A seeded sample in source order; all of them for a count that is larger."""
    every = mutants()
    picked = random.Random(seed).sample(every, min(count, len(every)))  # noqa: S311  not for secrets
    return sorted(picked, key=lambda one: (one.module, one.line, one.index))


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Run with the mutant: the code objects of the module's functions are exchanged, and put back."""
    module = importlib.import_module(mutant.module)
    tree = parsed(inspect.getsource(module))
    _change(_places(tree)[mutant.index])
    altered = ModuleType(mutant.module)
    altered.__dict__.update(__package__=module.__package__, __file__=module.__file__)
    exec(compile(ast.fix_missing_locations(tree), mutant.module, "exec"), altered.__dict__)  # noqa: S102  our own source
    functions = {name: value for name, value in vars(module).items() if _is_own(value, mutant.module)}
    before = {name: value.__code__ for name, value in functions.items()}
    try:
        for name, value in functions.items():
            value.__code__ = getattr(altered, name).__code__
        yield
    finally:
        for name, value in functions.items():
            value.__code__ = before[name]


def _is_own(value: object, module: str) -> bool:
    return isinstance(value, FunctionType) and value.__module__ == module


def _places(tree: ast.Module) -> list[ast.AST]:
    """Inside functions only: what a module computes at import stays as it is."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [node for function in functions for part in function.body for node in ast.walk(part) if _kind(node)]


def _kind(node: ast.AST) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "construct":
        return "dropped field" if any(one.arg for one in node.keywords) else ""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Is | ast.IsNot | ast.Eq):
        return "turned condition"
    if isinstance(node, ast.JoinedStr) and len(node.values) > 1:
        return "swapped order"
    if isinstance(node, ast.ListComp):
        return "lost last element"
    if isinstance(node, ast.Constant) and type(node.value) is int and node.value > 0:
        return "other number"
    return ""


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _change(node: ast.AST) -> None:
    if isinstance(node, ast.Call):
        named = [one for one in node.keywords if one.arg]
        node.keywords.remove(named[-1])
    elif isinstance(node, ast.Compare):
        turned = {ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Eq: ast.NotEq}
        node.ops = [turned[type(node.ops[0])]()]
    elif isinstance(node, ast.JoinedStr):
        node.values = node.values[::-1]
    elif isinstance(node, ast.ListComp):
        node.generators[0].iter = ast.Subscript(
            ast.Call(ast.Name("list", ast.Load()), [node.generators[0].iter], []),
            ast.Slice(upper=ast.UnaryOp(ast.USub(), ast.Constant(1))),
            ast.Load(),
        )
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        node.value += 1
