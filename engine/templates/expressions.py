"""Reads expressions, by MiniJinja's grammar and precedence."""

from __future__ import annotations

from typing import Final

from engine.templates.cursor import Cursor
from engine.templates.tree import Node, Part, Wrong
from engine.templates.vocabulary import BY_NAME, FILTERS, FUNCTIONS, TESTS, Takes

_CONSTANTS: Final = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}
_LEVELS: Final = (("+", "-"), ("~",), ("*", "/", "//", "%"), ("**",))
"""Binary operators, those that bind least first."""
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_NO_ARGUMENT: Final = frozenset({"and", "or", "else", "is", "if", "in", "not", "recursive"})
"""Words behind a test that are not its argument."""
Args = tuple[tuple[Node, ...], tuple[tuple[str, Node], ...]]


class Expressions:
    """Reads from a cursor; `macros` are the names of those that were defined so far."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.macros: set[str] = set()

    def expression(self) -> Node:
        """With a choice: a if b else c."""
        with self._cursor.deeper():
            found = self.condition()
            while self._cursor.is_name("if"):
                at = self._cursor.next().at
                test = self.condition()
                other = self.expression() if self._cursor.skip_name("else") else None
                found = Node("choose", at, (test, found, other))
            return found

    def condition(self) -> Node:
        """Without a choice."""
        found = self._both()
        while self._cursor.is_name("or"):
            at = self._cursor.next().at
            found = Node("or", at, (found, self._both()))
        return found

    def _both(self) -> Node:
        found = self._negated()
        while self._cursor.is_name("and"):
            at = self._cursor.next().at
            found = Node("and", at, (found, self._negated()))
        return found

    def _negated(self) -> Node:
        if not self._cursor.is_name("not"):
            return self._compared()
        with self._cursor.deeper():
            at = self._cursor.next().at
            return Node("not", at, (self._negated(),))

    def _compared(self) -> Node:
        cursor = self._cursor
        at, found, links = cursor.at, self._binary(0), []
        while True:
            if cursor.is_op(*_COMPARISONS):
                links.append((cursor.next().value, self._binary(0)))
            elif cursor.skip_name("in"):
                links.append(("in", self._binary(0)))
            elif cursor.is_name("not"):
                cursor.next()
                if not cursor.skip_name("in"):
                    raise cursor.unexpected("'in'")
                links.append(("not in", self._binary(0)))
            else:
                break
        return Node("compare", at, (found, tuple(links))) if links else found

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        found = self._binary(level + 1)
        while self._cursor.is_op(*_LEVELS[level]):
            operator = self._cursor.next()
            found = Node("op", operator.at, (operator.value, found, self._binary(level + 1)))
        return found

    def _unary(self) -> Node:
        return self._filtered(self._postfixed(self._signed()))

    def _signed(self) -> Node:
        if not self._cursor.is_op("-"):
            return self._primary()
        with self._cursor.deeper():
            at = self._cursor.next().at
            return Node("neg", at, (self._signed(),))

    def _primary(self) -> Node:
        cursor, token = self._cursor, self._cursor.token
        match token.kind, token.value:
            case "name", name:
                cursor.next()
                return (
                    Node("const", token.at, (_CONSTANTS[name],))
                    if name in _CONSTANTS
                    else Node("name", token.at, (name,))
                )
            case "string", _:
                text = cursor.next().value
                while cursor.token.kind == "string":
                    text += cursor.next().value
                return Node("const", token.at, (text,))
            case "int", _:
                return Node("const", token.at, (int(cursor.next().value),))
            case "float", _:
                return Node("const", token.at, (float(cursor.next().value),))
            case "op", "(":
                return self._group()
            case "op", "[":
                cursor.next()
                return Node("list", token.at, (self._items("]"),))
            case "op", "{":
                cursor.next()
                return Node("map", token.at, (self._pairs(),))
        raise cursor.unexpected("a value")

    def _group(self) -> Node:
        at = self._cursor.next().at
        if self._cursor.skip_op(")"):
            return Node("list", at, ((),))
        first = self.expression()
        if self._cursor.skip_op(")"):
            return first
        self._cursor.expect_op(",")
        return Node("list", at, ((first, *self._items(")")),))

    def _items(self, close: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._cursor.skip_op(close):
            items.append(self.expression())
            if not self._cursor.is_op(close):
                self._cursor.expect_op(",")
        return tuple(items)

    def _pairs(self) -> tuple[tuple[Node, Node], ...]:
        pairs: list[tuple[Node, Node]] = []
        while not self._cursor.skip_op("}"):
            key = self.expression()
            self._cursor.expect_op(":")
            pairs.append((key, self.expression()))
            if not self._cursor.is_op("}"):
                self._cursor.expect_op(",")
        return tuple(pairs)

    def _postfixed(self, found: Node) -> Node:
        cursor = self._cursor
        while cursor.is_op(".", "[", "("):
            at = cursor.at
            if cursor.skip_op("."):
                found = self._attribute(found)
            elif cursor.skip_op("["):
                found = self._subscript(found)
            else:
                found = self._call(found)
            del at
        return found

    def _attribute(self, found: Node) -> Node:
        token = self._cursor.next()
        if token.kind == "name":
            return Node("attr", token.at, (found, token.value))
        if token.kind == "int":
            return Node("item", token.at, (found, Node("const", token.at, (int(token.value),))))
        raise Wrong(token.at, f"unexpected {token}: here a name must stand")

    def _subscript(self, found: Node) -> Node:
        cursor, at = self._cursor, self._cursor.at
        begin = None if cursor.is_op(":") else self.expression()
        if begin is not None and cursor.skip_op("]"):
            return Node("item", at, (found, begin))
        cursor.expect_op(":")
        end = None if cursor.is_op("]", ":") else self.expression()
        step = None if not cursor.skip_op(":") or cursor.is_op("]") else self.expression()
        cursor.expect_op("]")
        return Node("slice", at, (found, begin, end, step))

    def _call(self, target: Node) -> Node:
        args, named = self.arguments()
        if target.op == "name":
            name = str(target.parts[0])
            if name in self.macros:
                return Node("call", target.at, (name, args, named))
            _judge("function", name, target, FUNCTIONS, (args, named))
            return Node("call", target.at, (name, args, named))
        if target.op == "attr" and target.parts[1] == "cycle" and _is_loop(target.parts[0]) and args and not named:
            return Node("cycle", target.at, (args,))
        name = str(target.parts[1]) if target.op == "attr" else "this"
        raise Wrong(target.at, f"{name}() cannot be called: call functions by their name, and use filters for methods")

    def arguments(self) -> Args:
        """Of a call: by place, then by name."""
        cursor = self._cursor
        cursor.expect_op("(")
        args: list[Node] = []
        named: dict[str, Node] = {}
        while not cursor.skip_op(")"):
            if cursor.is_op("*", "**"):
                raise Wrong(cursor.at, f"{cursor.token.value} spreads no arguments here: write them out")
            one = self.expression()
            if one.op == "name" and cursor.skip_op("="):
                named[str(one.parts[0])] = self.expression()
            elif named:
                raise Wrong(one.at, "this argument must stand before those with a name")
            else:
                args.append(one)
            if not cursor.is_op(")"):
                cursor.expect_op(",")
        return tuple(args), tuple(named.items())

    def _filtered(self, found: Node) -> Node:
        while True:
            if self._cursor.skip_op("|"):
                found = self.filter(found)
            elif self._cursor.skip_name("is"):
                found = self._test(found)
            else:
                return found

    def filter(self, found: Node) -> Node:
        """A filter's name and arguments, of what it is given."""
        name = self._cursor.name("the name of a filter")
        args = self.arguments() if self._cursor.is_op("(") else ((), ())
        node = Node("filter", name.at, (name.value, found, *args))
        _judge("filter", name.value, node, FILTERS, args)
        _judge_named(node, args[0])
        return node

    def _test(self, found: Node) -> Node:
        cursor = self._cursor
        negated = cursor.skip_name("not")
        name = cursor.name("the name of a test")
        args: Args = ((), ())
        if cursor.is_op("("):
            args = self.arguments()
        elif self._begins_argument():
            args = ((self._postfixed(self._signed()),), ())
        node = Node("test", name.at, (name.value, found, args[0]))
        _judge("test", name.value, node, TESTS, args)
        return Node("not", name.at, (node,)) if negated else node

    def _begins_argument(self) -> bool:
        token = self._cursor.token
        if token.kind == "name":
            return token.value not in _NO_ARGUMENT
        return token.kind in {"string", "int", "float"} or self._cursor.is_op("[", "{", "-")


def _is_loop(part: Part) -> bool:
    return isinstance(part, Node) and part.op == "name" and part.parts == ("loop",)


def _judge(what: str, name: str, node: Node, known: dict[str, Takes], args: Args) -> None:
    takes = known.get(name)
    if takes is None:
        raise Wrong(node.at, f"there is no {what} {name}")
    by_place, by_name = args
    for given, _ in by_name:
        if given not in takes.names and takes.names != ("*",):
            raise Wrong(node.at, f"the {what} {name} takes no argument {given}")
    if not takes.least <= len(by_place) + (len(by_name) if takes.least else 0) or len(by_place) > takes.most:
        least, most = takes.least, takes.most
        many = str(most) if least == most else f"{least} to {most}"
        raise Wrong(node.at, f"the {what} {name} takes {many} arguments, and here are {len(by_place)}")


def _judge_named(node: Node, args: tuple[Node, ...]) -> None:
    """Of a filter that applies another one, or a test: which, must be known now."""
    what, place = BY_NAME.get(str(node.parts[0]), ("", 0))
    if not what or len(args) <= place:
        return
    given = args[place]
    name = given.parts[0] if given.op == "const" else None
    if not isinstance(name, str):
        raise Wrong(given.at, f"here the name of a {what} must stand, as a text")
    _judge(what, name, given, FILTERS if what == "filter" else TESTS, (args[place + 1 :], ()))
    if name in BY_NAME:
        raise Wrong(given.at, f"{name} cannot be applied to each: write a loop")
