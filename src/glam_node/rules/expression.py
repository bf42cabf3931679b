"""Expressions: their parts, their evaluation on an image, and how they are written."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fnmatch import translate
from re import compile as compile_pattern

Value = str | float | date
"""A string in lower case without surrounding spaces, a number, an age in days, or a date."""
Values = Callable[[str], tuple[Value, ...]]
"""A function that returns the values of a field of an image: none, one, or several."""


class ValueKind(StrEnum):
    """The kind of a field's values."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    AGE = "age"


# Days in each unit of an age (PS3.5 Table 6.2-1, VR AS), with average years and months
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}


def age_in_days(text: str) -> float:
    """Return the number of days in an age such as 040Y, 6M, 3W or 10D; raise ValueError or KeyError otherwise."""
    return int(text[:-1]) * _DAYS[text[-1:]]


def same_text(text: str) -> str:
    """Return the text in lower case without surrounding spaces, so that texts that differ only in these are equal."""
    return text.strip().casefold()


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal value in an expression."""

    kind: ValueKind
    text: str
    """The text of the value without quotes, as in 40Y and 2024-01-31."""

    @property
    def value(self) -> Value:
        """The value that fields are compared with."""
        readers: dict[ValueKind, Callable[[str], Value]] = {
            ValueKind.TEXT: same_text,
            ValueKind.NUMBER: float,
            ValueKind.DATE: date.fromisoformat,
            ValueKind.AGE: age_in_days,
        }
        return readers[self.kind](self.text)

    def __str__(self) -> str:
        if self.kind is not ValueKind.TEXT:
            return self.text
        quote = "'" if '"' in self.text else '"'
        return f"{quote}{self.text}{quote}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of one field; only `in` and `not in` have more than one literal."""

    field: str
    operator: str
    literals: tuple[Literal, ...] = ()

    def __str__(self) -> str:
        if self.operator in ("in", "not in"):
            return f"{self.field} {self.operator} [{', '.join(map(str, self.literals))}]"
        return " ".join([self.field, self.operator, *map(str, self.literals)])


@dataclass(frozen=True, slots=True)
class Not:
    """An expression that is true if its inner expression is false."""

    inner: "Expression"

    def __str__(self) -> str:
        return f"not {_in_parentheses(self.inner)}"


@dataclass(frozen=True, slots=True)
class And:
    """An expression that is true if all of its parts are true."""

    parts: tuple["Expression", ...]

    def __str__(self) -> str:
        return " and ".join(map(_in_parentheses, self.parts))


@dataclass(frozen=True, slots=True)
class Or:
    """An expression that is true if at least one of its parts is true."""

    parts: tuple["Expression", ...]

    def __str__(self) -> str:
        return " or ".join(map(_in_parentheses, self.parts))


Expression = Comparison | Not | And | Or


def _in_parentheses(expression: Expression) -> str:
    return f"({expression})" if isinstance(expression, And | Or) else str(expression)


def children(expression: Expression) -> tuple[Expression, ...]:
    """Return the expressions directly inside an expression."""
    if isinstance(expression, Not):
        return (expression.inner,)
    return () if isinstance(expression, Comparison) else expression.parts


def comparisons(expression: Expression) -> tuple[Comparison, ...]:
    """Return every comparison in an expression, from left to right."""
    if isinstance(expression, Comparison):
        return (expression,)
    return tuple(one for inner in children(expression) for one in comparisons(inner))


def holds(expression: Expression, values: Values) -> bool:
    """Return whether an expression is true of an image.

    If a field has no values, `is missing` is the only comparison of that field that is true.
    """
    if isinstance(expression, Comparison):
        return _COMPARED[expression.operator](values(expression.field), expression.literals)
    if isinstance(expression, Not):
        return not holds(expression.inner, values)
    if isinstance(expression, And):
        return all(holds(part, values) for part in expression.parts)
    return any(holds(part, values) for part in expression.parts)


Compared = Callable[[tuple[Value, ...], tuple[Literal, ...]], bool]


def _some(test: Callable[[Value, Value], bool]) -> Compared:
    """Return a comparison that is true if `test` is true for at least one pair of a value and a literal."""
    return lambda values, literals: any(test(value, one.value) for value in values for one in literals)


def _none_equal(values: tuple[Value, ...], literals: tuple[Literal, ...]) -> bool:
    return bool(values) and not any(value == one.value for value in values for one in literals)


def _ordered(test: Callable[[float, float], bool]) -> Compared:
    def compare(value: Value, literal: Value) -> bool:
        return test(_place(value), _place(literal))

    return _some(compare)


def _place(value: Value) -> float:
    """Return the number by which a value is ordered; the grammar does not allow order comparisons of strings."""
    return float(value.toordinal()) if isinstance(value, date) else float(value)


def _like(value: Value, pattern: Value) -> bool:
    # fnmatch also knows [...]; this language does not, so [ is escaped.
    escaped = str(pattern).replace("[", "[[]")
    return compile_pattern(translate(escaped)).match(str(value)) is not None


_COMPARED: dict[str, Compared] = {
    "==": _some(lambda value, literal: value == literal),
    "!=": _none_equal,
    "<": _ordered(lambda value, literal: value < literal),
    "<=": _ordered(lambda value, literal: value <= literal),
    ">": _ordered(lambda value, literal: value > literal),
    ">=": _ordered(lambda value, literal: value >= literal),
    "in": _some(lambda value, literal: value == literal),
    "not in": _none_equal,
    "contains": _some(lambda value, literal: str(literal) in str(value)),
    "like": _some(_like),
    "is missing": lambda values, _: not values,
    "is present": lambda values, _: bool(values),
}

EQUAL, ORDER, TEXTS, PRESENCE = (
    ("==", "!=", "in", "not in"),
    ("<", "<=", ">", ">="),
    ("contains", "like"),
    (
        "is missing",
        "is present",
    ),
)


def operators_of(kind: ValueKind) -> tuple[str, ...]:
    """Return the operators for fields of a kind."""
    return (*EQUAL, *(TEXTS if kind is ValueKind.TEXT else ORDER), *PRESENCE)
