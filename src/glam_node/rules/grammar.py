"""Parser of expressions, with errors that give the position and the symbols that were expected there."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from glam_node.rules.expression import And, Comparison, Expression, Literal, Not, Or, ValueKind, children, operators_of
from glam_node.rules.fields import SCORES, FieldError, kind_of

LONGEST = 1000
"""The largest number of characters in an expression."""
DEEPEST = 40
"""The largest depth of nested expressions."""

_GRAMMAR = r"""
?start: disjunction
?disjunction: conjunction ("or" conjunction)*
?conjunction: negation ("and" negation)*
?negation: "not" negation -> negated
    | "(" disjunction ")"
    | comparison
?comparison: FIELD COMPARE literal -> compared
    | FIELD "in" choices -> among
    | FIELD "not" "in" choices -> not_among
    | FIELD "contains" text -> contains
    | FIELD "like" text -> like
    | FIELD "is" "missing" -> missing
    | FIELD "is" "present" -> present
choices: "[" literal ("," literal)* "]"
literal: text | NUMBER | DATE | AGE
?text: DOUBLE_QUOTED | SINGLE_QUOTED
COMPARE: "==" | "!=" | "<=" | ">=" | "<" | ">"
FIELD: /[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*/
DATE.3: /[0-9]{4}-[0-9]{2}-[0-9]{2}/
AGE.2: /[0-9]{1,3}[DWMY](?![A-Za-z0-9])/
NUMBER: /-?[0-9]+(\.[0-9]+)?/
DOUBLE_QUOTED: /"[^"\\\x00-\x1f]*"/
SINGLE_QUOTED: /'[^'\\\x00-\x1f]*'/
%ignore /[ \t\r\n]+/
"""

_WORDS = {
    "FIELD": "a field",
    "COMPARE": "== != < <= > >=",
    "NUMBER": "a number",
    "DATE": "a date such as 2024-01-31",
    "AGE": "an age such as 40Y",
    "DOUBLE_QUOTED": 'a text in "quotes"',
    "SINGLE_QUOTED": "",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "COMMA": ",",
    "$END": "the end",
}
_KINDS = {
    "NUMBER": ValueKind.NUMBER,
    "DATE": ValueKind.DATE,
    "AGE": ValueKind.AGE,
    "DOUBLE_QUOTED": ValueKind.TEXT,
    "SINGLE_QUOTED": ValueKind.TEXT,
}


class ExpressionError(ValueError):
    """The text is not an expression; the message gives the reason, and the position counted from 1."""


def parse(text: str) -> Expression:
    """Parse a text and return its expression; raise ExpressionError for a text that is not an expression."""
    if len(text) > LONGEST:
        raise ExpressionError(f"is longer than {LONGEST} characters; split it into several rules")
    try:
        parsed: Expression = _parser().parse(text)  # type: ignore[assignment]
    except UnexpectedToken as error:
        given = "the end" if error.token.type == "$END" else f'"{error.token}"'
        place = len(text) + 1 if error.token.type == "$END" else (error.token.start_pos or 0) + 1
        raise _error(place, f"{given} where {_expected(error.accepts or error.expected)} was expected") from None
    except UnexpectedCharacters as error:
        place = error.pos_in_stream or 0
        raise _error(place + 1, f"{text[place]!r} where {_expected(error.allowed)} was expected") from None
    except UnexpectedEOF as error:
        raise _error(len(text) + 1, f"the end where {_expected(error.expected)} was expected") from None
    return parsed


def _error(position: int, message: str) -> ExpressionError:
    return ExpressionError(f"position {position}: {message}")


def _expected(terminals: Iterable[str] | None) -> str:
    words = {_WORDS.get(terminal, terminal.lower()) for terminal in terminals or ()} - {""}
    return " or ".join(sorted(words)) or "something else"


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", transformer=_Builder())


class _Builder(Transformer[Token, Expression]):
    """Builder of the expression during parsing, so that the depth of recursion does not grow with a long text."""

    def disjunction(self, parts: list[Expression]) -> Expression:
        return _bounded(Or(tuple(parts)))

    def conjunction(self, parts: list[Expression]) -> Expression:
        return _bounded(And(tuple(parts)))

    def negated(self, parts: list[Expression]) -> Expression:
        return _bounded(Not(parts[0]))

    def compared(self, parts: list[Any]) -> Comparison:
        return _comparison(parts[0], str(parts[1]), [parts[2]])

    def among(self, parts: list[Any]) -> Comparison:
        return _comparison(parts[0], "in", parts[1])

    def not_among(self, parts: list[Any]) -> Comparison:
        return _comparison(parts[0], "not in", parts[1])

    def contains(self, parts: list[Any]) -> Comparison:
        return _comparison(parts[0], "contains", [parts[1]])

    def like(self, parts: list[Any]) -> Comparison:
        return _comparison(parts[0], "like", [parts[1]])

    def missing(self, parts: list[Any]) -> Comparison:
        return _comparison(parts[0], "is missing", [])

    def present(self, parts: list[Any]) -> Comparison:
        return _comparison(parts[0], "is present", [])

    def choices(self, literals: list[Token]) -> list[Token]:
        return literals

    def literal(self, parts: list[Token]) -> Token:
        return parts[0]


def _bounded(expression: Expression) -> Expression:
    if _depth(expression) > DEEPEST:
        raise ExpressionError(f"has more than {DEEPEST} expressions inside each other; split it into several rules")
    return expression


def _depth(expression: Expression) -> int:
    return 1 + max(map(_depth, children(expression)), default=0)


def _comparison(field: Token, operator: str, literals: list[Token]) -> Comparison:
    position = (field.start_pos or 0) + 1
    try:
        kind = kind_of(str(field))
    except FieldError as error:
        raise _error(position, str(error)) from None
    if operator not in operators_of(kind):
        raise _error(
            position, f"{field} is of kind {kind}: {operator} is not for it, only {' '.join(operators_of(kind))}"
        )
    return Comparison(str(field), operator, tuple(_literal(field, kind, literal) for literal in literals))


def _literal(field: Token, kind: ValueKind, token: Token) -> Literal:
    position, given = (token.start_pos or 0) + 1, _KINDS[token.type]
    if given is not kind:
        raise _error(position, f"{token} is of kind {given}, but {field} of kind {kind}")
    literal = Literal(kind, str(token)[1:-1] if kind is ValueKind.TEXT else str(token))
    try:
        literal.value  # noqa: B018 - raises ValueError for a date such as 2024-02-30
    except ValueError:
        raise _error(position, f"{token} is not a date") from None
    if field in SCORES and not 0 <= float(token) <= 1:
        raise _error(position, f"{token} is not a score: {field} is 0 to 1")
    return literal
