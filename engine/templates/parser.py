"""Reads a template: text, expressions to print, statements."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from engine.templates.cursor import Cursor
from engine.templates.expressions import Expressions
from engine.templates.tree import Node, Part, Place, Wrong
from engine.templates.vocabulary import FUNCTIONS, NOT_HERE

LONGEST: Final = 32 * 1024
"""Characters of one template."""
DEEPEST: Final = 100
"""How deep its tree may be."""
_RESERVED: Final = frozenset({"true", "True", "false", "False", "none", "None", "loop", "self", "caller"})


@lru_cache(maxsize=1024)
def template(source: str) -> Node:
    """What a template says: a node `body`; white space at its end is none of it. Raises Wrong."""
    if len(source) > LONGEST:
        raise Wrong(Place(1, 1), f"a template has at most {LONGEST} characters, and this has {len(source)}")
    if "\0" in source:
        at = source.index("\0")
        line = source.count("\n", 0, at)
        raise Wrong(Place(line + 1, at - source.rfind("\n", 0, at)), "a zero character can be sent in no message")
    found = _Parser(source.rstrip()).whole()
    if (deep := _too_deep(found)) is not None:
        raise Wrong(deep.at, f"this stands in more than {DEEPEST} others: take it apart")
    return found


def _too_deep(node: Node) -> Node | None:
    """A node that is too deep; walked without recursion, which its depth would exhaust."""
    waiting = [(node, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > DEEPEST:
            return one
        waiting += [(below, depth + 1) for below in one.below()]
    return None


class _Parser:
    """One pass over one template."""

    def __init__(self, source: str) -> None:
        self._cursor = Cursor(source)
        self._expressions = Expressions(self._cursor)

    def whole(self) -> Node:
        at = self._cursor.at
        children, _ = self._body()
        return Node("body", at, (children,))

    def _body(self, *until: str) -> tuple[tuple[Node, ...], str]:
        """What stands before a statement named in `until`, and its name; its mark is taken, up to the name."""
        found: list[Node] = []
        cursor = self._cursor
        while True:
            token = cursor.next()
            if token.kind == "text":
                found.append(Node("text", token.at, (token.value,)))
            elif token.kind == "eof":
                if until:
                    raise Wrong(token.at, f"the template ends here, without {{% {until[-1]} %}}")
                return tuple(found), ""
            elif token.value == "{{":
                found.append(Node("emit", token.at, (self._expressions.expression(),)))
                if cursor.token.kind != "end":
                    raise cursor.unexpected("}}")
                cursor.next()
            elif cursor.is_name(*until):
                return tuple(found), cursor.next().value
            else:
                with cursor.deeper():
                    found.append(self._statement())

    def _block(self, until: str) -> tuple[Node, ...]:
        """The inside of a statement up to its end."""
        self._cursor.end()
        found, _ = self._body(until)
        self._cursor.end()
        return found

    def _statement(self) -> Node:
        word = self._cursor.name("a statement")
        match word.value:
            case "if":
                return self._if(word.at)
            case "for":
                return self._for(word.at)
            case "set":
                return self._set(word.at)
            case "with":
                return self._with(word.at)
            case "filter":
                return self._filter(word.at)
            case "macro":
                return self._macro(word.at)
            case "do":
                node = Node("do", word.at, (self._expressions.expression(),))
                self._cursor.end()
                return node
        if word.value in NOT_HERE:
            raise Wrong(word.at, f"{word.value} is not taken here: {NOT_HERE[word.value]}")
        raise Wrong(word.at, f"there is no statement {word.value}")

    def _if(self, at: Place) -> Node:
        arms: list[tuple[Node, Part]] = []
        otherwise: tuple[Node, ...] = ()
        while True:
            test = self._expressions.expression()
            self._cursor.end()
            body, word = self._body("elif", "else", "endif")
            arms.append((test, body))
            if word != "elif":
                break
        self._cursor.end()
        if word == "else":
            otherwise, _ = self._body("endif")
            self._cursor.end()
        return Node("if", at, (tuple(arms), otherwise))

    def _for(self, at: Place) -> Node:
        target = self._targets(dotted=False)
        if not self._cursor.skip_name("in"):
            raise self._cursor.unexpected("'in'")
        over = self._expressions.condition()
        test = self._expressions.expression() if self._cursor.skip_name("if") else None
        if self._cursor.is_name("recursive"):
            raise Wrong(self._cursor.at, "recursive is not taken here: use a macro")
        self._cursor.end()
        body, word = self._body("else", "endfor")
        self._cursor.end()
        otherwise: tuple[Node, ...] = ()
        if word == "else":
            otherwise, _ = self._body("endfor")
            self._cursor.end()
        return Node("for", at, (target, over, test, body, otherwise))

    def _targets(self, *, dotted: bool) -> Part:
        """What is assigned to: a name, or a list of such; `dotted`, an attribute of a namespace too."""
        found = [self._target(dotted=dotted)]
        several = False
        while self._cursor.skip_op(","):
            several = True
            if not (self._cursor.token.kind == "name" or self._cursor.is_op("(")) or self._cursor.is_name("in"):
                break
            found.append(self._target(dotted=dotted))
        return ("several", tuple(found)) if several else found[0]

    def _target(self, *, dotted: bool) -> Part:
        if self._cursor.skip_op("("):
            found = self._targets(dotted=dotted)
            self._cursor.expect_op(")")
            return found
        name = self._cursor.name("a name")
        if name.value in _RESERVED:
            raise Wrong(name.at, f"{name.value} cannot be assigned to")
        if dotted and self._cursor.skip_op("."):
            return ("attr", name.value, self._cursor.name("a name").value)
        return name.value

    def _set(self, at: Place) -> Node:
        target = self._targets(dotted=True)
        if self._cursor.skip_op("="):
            value = self._expressions.expression()
            if self._cursor.is_op(","):
                items = [value]
                while self._cursor.skip_op(",") and self._cursor.token.kind != "end":
                    items.append(self._expressions.expression())
                value = Node("list", value.at, (tuple(items),))
            self._cursor.end()
            return Node("set", at, (target, value))
        chain = self._chain() if self._cursor.skip_op("|") else []
        captured = Node("capture", at, (self._block("endset"),))
        return Node("set", at, (target, _filtered(captured, chain)))

    def _chain(self) -> list[Node]:
        """Filters one behind the other, of nothing yet."""
        nothing = Node("const", self._cursor.at, ("",))
        found = [self._expressions.filter(nothing)]
        while self._cursor.skip_op("|"):
            found.append(self._expressions.filter(nothing))
        return found

    def _filter(self, at: Place) -> Node:
        chain = self._chain()
        captured = Node("capture", at, (self._block("endfilter"),))
        return Node("emit", at, (_filtered(captured, chain),))

    def _with(self, at: Place) -> Node:
        pairs: list[tuple[Part, Node]] = []
        while self._cursor.token.kind != "end":
            if pairs:
                self._cursor.expect_op(",")
            target = self._target(dotted=False)
            self._cursor.expect_op("=")
            pairs.append((target, self._expressions.expression()))
        return Node("with", at, (tuple(pairs), self._block("endwith")))

    def _macro(self, at: Place) -> Node:
        name = self._cursor.name("the name of the macro")
        if name.value in _RESERVED or name.value in FUNCTIONS:
            raise Wrong(name.at, f"{name.value} is taken: give the macro another name")
        self._cursor.expect_op("(")
        params: list[tuple[str, Node | None]] = []
        while not self._cursor.skip_op(")"):
            param = self._cursor.name("a name")
            default = self._expressions.expression() if self._cursor.skip_op("=") else None
            params.append((param.value, default))
            if not self._cursor.is_op(")"):
                self._cursor.expect_op(",")
        self._expressions.macros.add(name.value)
        return Node("macro", at, (name.value, tuple(params), self._block("endmacro")))


def _filtered(node: Node, chain: list[Node]) -> Node:
    for one in chain:
        name, _, args, named = one.parts
        node = Node("filter", one.at, (name, node, args, named))
    return node
