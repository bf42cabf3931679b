"""Loading of pickles that hold plain data: numbers, text, booleans, lists, tuples, sets and dictionaries.

A pickle is a program. Every instruction is checked before the pickle is loaded, and any that could import, call or
build something else is refused.
"""

import io
import pickle
import pickletools

from glam_node.research.datasets.problems import DatasetError

_ALLOWED = frozenset(
    name
    for group in (
        ("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "MEMOIZE"),
        ("PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"),
        ("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
        ("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"),
        ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        ("EMPTY_LIST", "APPEND", "APPENDS", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        ("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "FROZENSET"),
    )
    for name in group
)
_IMPORTS = frozenset({"GLOBAL", "STACK_GLOBAL", "INST"})


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that refuses imports, as a second barrier after the check of instructions."""

    def find_class(self, *_: str) -> object:
        raise pickle.UnpicklingError("the pickle imports something")


def load_plain_pickle(encoded: bytes) -> object:
    """Load a pickle of plain data. Raises DatasetError with the reason for any other pickle."""
    try:
        for instruction, argument, _ in pickletools.genops(encoded):
            _check(instruction.name, argument, len(encoded))
        return _PlainUnpickler(io.BytesIO(encoded), encoding="utf-8").load()
    except DatasetError:
        raise
    except Exception as error:  # genops and the unpickler raise many types of errors for damaged pickles
        raise DatasetError(f"This is not a readable pickle ({type(error).__name__}).") from error


def _check(name: str, argument: object, byte_count: int) -> None:
    if name in _IMPORTS:
        what = f" ({argument})" if argument else ""
        raise DatasetError(
            f"The pickle is refused: it imports code{what}, which could do anything. Only plain containers, numbers "
            "and text are read. If you trust it, save it as JSON with the program that made it."
        )
    if name not in _ALLOWED:
        raise DatasetError(f"The pickle is refused: its instruction {name} is not one of those that make plain data.")
    if name.endswith("PUT") and isinstance(argument, int) and argument > byte_count:
        raise DatasetError("The pickle is refused: it numbers more values than it can hold.")
