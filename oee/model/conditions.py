"""Conditions over tags, written as text: the parser. An error names the position of what cannot be parsed. Pure.

Grammar (names are `device.tag` and may hold hyphens, so a minus sign needs spaces around it):

    or      := and ("or" and)*
    and     := not ("and" not)*
    not     := "not" not | test
    test    := sum (("==" | "!=" | "<" | "<=" | ">" | ">=") sum | "in" "(" literal ("," literal)* ")")?
    sum     := product ((" + " | " - ") product)*
    product := atom (("*" | "/") atom)*
    atom    := number | 'text' | true | false | name | "(" or ")"
             | blinking(name, duration) | above(name, on=number, off=number)

The two helpers are defined in `oee/model/expressions.py`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple


class BadExpression(ValueError):
    """The text is not an expression. key: the message in the catalogue, with `values` for its placeholders;
    position: index of the offending character.
    """

    def __init__(self, key: str, position: int, **values: str) -> None:
        super().__init__(f"{key.removeprefix('expression.')} at {position}: {values}")
        self.key, self.position = key, position
        self.values: dict[str, Any] = dict(values)


@dataclass(frozen=True)
class Node:
    """op: operator or kind, as in the grammar; args: child nodes and literals in order."""

    op: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Expression:
    """A parsed condition. tags: every name in it; helpers: its `blinking` and `above` nodes."""

    text: str
    node: Node
    tags: frozenset[str]
    helpers: tuple[Node, ...]


_TOKEN: Final = re.compile(
    r"\s*(?:(?P<duration>\d+(?:\.\d+)?(?:ms|s|min|h)\b)"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>[^\W\d][\w-]*(?:\.[^\W\d][\w-]*)*)"
    r"|(?P<op>==|!=|<=|>=|<|>|\(|\)|,|=|\+|-|\*|/))"
)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "true", "false"})


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def _tokens(text: str) -> list[_Token]:
    out: list[_Token] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadExpression("expression.unreadable", position, found=text[position:].strip()[:20])
        kind = match.lastgroup or ""
        word = match.group(kind)
        if kind == "number" and word.startswith("-") and out and out[-1].kind != "op" and out[-1].text != "in":
            kind, word = "op", "-"  # `a -1`: subtraction, not two values side by side
            out.append(_Token(kind, word, match.start("number")))
            position = match.start("number") + 1
            continue
        if kind == "name" and word in _KEYWORDS:
            kind = "word"
        out.append(_Token(kind, word, match.start(match.lastgroup or 0)))
        position = match.end()
    out.append(_Token("end", "", len(text)))
    return out


class _Cursor:
    """A position in the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def peek(self) -> _Token:
        """The token that comes next."""
        return self._tokens[self._at]

    def next(self) -> _Token:
        """The token that comes next, consumed."""
        token = self.peek()
        self._at += 1
        return token

    def take(self, *texts: str) -> _Token | None:
        """The next token, consumed, if it is one of these operators or words; else None."""
        token = self.peek()
        return self.next() if token.kind in ("op", "word") and token.text in texts else None

    def expect(self, what: str) -> None:
        """Consumes this operator or raises `BadExpression`."""
        if self.take(what) is None:
            token = self.peek()
            raise BadExpression("expression.expected", token.position, wanted=what, found=token.text)


class _Parser:
    """Recursive descent: a method for each rule of the grammar above. Collects the names and helpers that it meets."""

    def __init__(self, text: str) -> None:
        self.cursor = _Cursor(text)
        self.names: set[str] = set()
        self.helpers: list[Node] = []

    def chain(self, operators: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        node = operand()
        while token := self.cursor.take(*operators):
            node = Node(token.text, (node, operand()))
        return node

    def either(self) -> Node:
        return self.chain(("or",), lambda: self.chain(("and",), self.negation))

    def negation(self) -> Node:
        return Node("not", (self.negation(),)) if self.cursor.take("not") else self.test()

    def test(self) -> Node:
        left = self.sum()
        if token := self.cursor.take(*_COMPARISONS):
            return Node(token.text, (left, self.sum()))
        if self.cursor.take("in"):
            self.cursor.expect("(")
            options = [self.literal()]
            while self.cursor.take(","):
                options.append(self.literal())
            self.cursor.expect(")")
            return Node("in", (left, tuple(options)))
        return left

    def sum(self) -> Node:
        return self.chain(("+", "-"), lambda: self.chain(("*", "/"), self.atom))

    def literal(self) -> float | str:
        token = self.cursor.next()
        if token.kind == "number":
            return float(token.text)
        if token.kind == "text":
            return token.text[1:-1]
        raise BadExpression("expression.no_literal", token.position, found=token.text)

    def atom(self) -> Node:
        token = self.cursor.peek()
        if token.kind in ("number", "text"):
            return Node("literal", (self.literal(),))
        if self.cursor.take("true", "false"):
            return Node("literal", (token.text == "true",))
        if self.cursor.take("("):
            node = self.either()
            self.cursor.expect(")")
            return node
        if token.kind == "name":
            self.cursor.next()
            if self.cursor.peek().text == "(":
                return self.helper(token)
            self.names.add(token.text)
            return Node("name", (token.text,))
        raise BadExpression("expression.no_value", token.position, found=token.text)

    def tag(self) -> str:
        token = self.cursor.next()
        if token.kind != "name":
            raise BadExpression("expression.no_tag", token.position, found=token.text)
        self.names.add(token.text)
        return token.text

    def helper(self, name: _Token) -> Node:
        self.cursor.expect("(")
        tag = self.tag()
        self.cursor.expect(",")
        if name.text == "blinking":
            token = self.cursor.next()
            if token.kind != "duration":
                raise BadExpression("expression.blinking", token.position)
            node = Node("blinking", (tag, round(_duration_s(token.text) * 1e9)))
        elif name.text == "above":
            first_limit = self.option()
            self.cursor.expect(",")
            limits = dict([first_limit, self.option()])
            if set(limits) != {"on", "off"} or limits["off"] > limits["on"]:
                raise BadExpression("expression.above_limits", name.position)
            node = Node("above", (tag, limits["on"], limits["off"]))
        else:
            raise BadExpression("expression.no_helper", name.position, found=name.text)
        self.cursor.expect(")")
        self.helpers.append(node)
        return node

    def option(self) -> tuple[str, float]:
        token = self.cursor.next()
        self.cursor.expect("=")
        value = self.literal()
        if token.text not in ("on", "off") or isinstance(value, str):
            raise BadExpression("expression.above_options", token.position)
        return token.text, value


def _duration_s(text: str) -> float:
    number = re.match(r"[\d.]+", text)
    assert number is not None  # the token's own shape
    return float(number.group()) * _SECONDS[text[number.end() :]]


def parse(text: str) -> Expression:
    """The expression in a text.

    Raises `BadExpression` with the position of what cannot be parsed.
    """
    parser = _Parser(text)
    node = parser.either()
    token = parser.cursor.peek()
    if token.kind != "end":
        raise BadExpression("expression.unexpected", token.position, found=token.text)
    return Expression(text, node, frozenset(parser.names), tuple(parser.helpers))


def rename(expression: Expression, names: Mapping[str, str]) -> Expression:
    """The same condition over other tags (a profile's parameters replaced by a machine's tags)."""

    def walk(node: Node) -> Node:
        args = tuple(
            walk(arg)
            if isinstance(arg, Node)
            else names.get(arg, arg)
            if index == 0 and node.op in ("name", "blinking", "above")
            else arg
            for index, arg in enumerate(node.args)
        )
        return Node(node.op, args)

    tags = frozenset(names.get(tag, tag) for tag in expression.tags)
    return Expression(expression.text, walk(expression.node), tags, tuple(map(walk, expression.helpers)))
