"""The types of values that can be sent: how each is taken apart into simpler values, and how it is made of them.

The sender calls parts_of, and the receiver calls make or, for values that can change, begin and fill. Messages are
never trusted: they name types of these tables only, and values are made by constructors that run no code of a program.
"""

import builtins
from array import array
from base64 import b64decode, b64encode
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

SCALARS = frozenset((type(None), bool, int, float, str))  # these are plain JSON
Parts = list | tuple  # of scalars and of other values
# A tag, the parts, and for some types one more item of plain JSON.
Form = tuple[str, Parts] | tuple[str, Parts, Any]

CLASSES: dict[str, type] = {
    name: kind for name, kind in vars(builtins).items() if isinstance(kind, type) and not name.startswith("_")
}
CLASSES |= {kind.__name__: kind for kind in (Counter, OrderedDict, defaultdict, deque, Decimal, Fraction, array)}
CLASSES |= {kind.__name__: kind for kind in (date, datetime, time, timedelta, timezone)}
SINGLETONS = {"Ellipsis": ..., "NotImplemented": NotImplemented}


class CarryError(Exception):
    """What cannot be sent: a value of this type, or what a text says."""

    def __init__(self, what: type | str) -> None:
        super().__init__(f"cannot carry {what if isinstance(what, str) else f'a value of type {what.__name__}'}")


def _of_dict(value: dict) -> list:
    return [*value, *value.values()]


def _of_time(value: datetime | time) -> list:
    return [value.hour, value.minute, value.second, value.microsecond, value.tzinfo]


def _of_class(value: type) -> Form:
    if CLASSES.get(value.__name__) is not value:
        raise CarryError(type(value))
    return "class", [value.__name__]


def _of_memoryview(value: memoryview) -> Form:
    if value.format != "B" or value.ndim != 1:
        raise CarryError(memoryview)
    return "memoryview", [b64encode(value).decode()]


def _of_defaultdict(value: defaultdict) -> Form:
    factory: Any = value.default_factory
    known = isinstance(factory, type) and CLASSES.get(factory.__name__) is factory
    return "defaultdict", _of_dict(value), factory.__name__ if known else None


FORMS: dict[type, Callable[[Any], Form]] = {
    list: lambda value: ("list", value),
    tuple: lambda value: ("tuple", value),
    set: lambda value: ("set", [*value]),
    frozenset: lambda value: ("frozenset", [*value]),
    dict: lambda value: ("dict", _of_dict(value)),
    Counter: lambda value: ("Counter", _of_dict(value)),
    OrderedDict: lambda value: ("OrderedDict", _of_dict(value)),
    defaultdict: _of_defaultdict,
    deque: lambda value: ("deque", [*value], value.maxlen),
    array: lambda value: ("array", value.tolist(), value.typecode),
    bytes: lambda value: ("bytes", [b64encode(value).decode()]),
    bytearray: lambda value: ("bytearray", [b64encode(value).decode()]),
    memoryview: _of_memoryview,
    complex: lambda value: ("complex", [value.real, value.imag]),
    range: lambda value: ("range", [value.start, value.stop, value.step]),
    slice: lambda value: ("slice", [value.start, value.stop, value.step]),
    Fraction: lambda value: ("Fraction", [value.numerator, value.denominator]),
    Decimal: lambda value: ("Decimal", [Decimal.__str__(value)]),
    datetime: lambda value: ("datetime", [value.year, value.month, value.day, *_of_time(value)], value.fold),
    date: lambda value: ("date", [value.year, value.month, value.day]),
    time: lambda value: ("time", _of_time(value), value.fold),
    timedelta: lambda value: ("timedelta", [value.days, value.seconds, value.microseconds]),
    timezone: lambda value: ("timezone", value.__getinitargs__()),
    type: _of_class,
    type(...): lambda _: ("singleton", ["Ellipsis"]),
    type(NotImplemented): lambda _: ("singleton", ["NotImplemented"]),
}
# A subclass is sent as the first of these that it extends, so datetime comes before date.
BASES: dict[type, Callable[[Any], Any]] = {
    **{kind: kind for kind in (int, float, complex, bytes, bytearray, tuple, list, set, frozenset)},
    str: str.__str__,
    OrderedDict: OrderedDict,
    Counter: lambda value: Counter(dict(value)),
    defaultdict: lambda value: defaultdict(value.default_factory, value),
    dict: dict,
    deque: lambda value: deque(value, value.maxlen),
    **{kind: lambda value: value for kind in (array, Fraction, Decimal, datetime, date, time, timedelta, type)},
}


def _view_forms(kind: type[dict]) -> dict[type, Callable[[Any], Form]]:
    """The forms of a dict's views, which become real views of a new dict."""
    name = kind.__name__
    return {
        type(kind().keys()): lambda view: ("keys", [*view], name),
        type(kind().values()): lambda view: ("values", [*view], name),
        type(kind().items()): lambda view: ("items", [*(key for key, _ in view), *(item for _, item in view)], name),
    }


FORMS |= _view_forms(dict) | _view_forms(OrderedDict)


@lru_cache(maxsize=256)
def _base_of(kind: Any) -> Any:
    """The type as which a subclass is sent, or None."""
    return next((base for base in BASES if issubclass(kind, base)), None)


def parts_of(value: Any) -> Form | None:
    """Takes a value apart; None if its type is not in these tables. A subclass becomes the type that it extends."""
    kind: Any = type(value)
    if kind in FORMS:
        return FORMS[kind](value)
    base = _base_of(kind)
    if base is None:
        return None
    plain = BASES[base](value)
    return ("same", [plain]) if base in SCALARS else FORMS[base](plain)


def _pairs(parts: list) -> Iterator[tuple[Any, Any]]:
    """The items of a dict from its keys and, after them, its values."""
    half, odd = divmod(len(parts), 2)
    if odd:
        raise ValueError("a dict has a key without a value")
    return zip(parts[:half], parts[half:], strict=True)


def _decode(parts: list) -> bytes:
    (text,) = parts
    return b64decode(text, validate=True)


def _of_kind(kind: Callable[..., Any]) -> Callable[[list, Any], Any]:
    return lambda parts, _: kind(*parts)


DICTS: dict[str, type[dict]] = {"dict": dict, "OrderedDict": OrderedDict}


# The types that cannot change are made at once of (parts, extra).
MAKERS: dict[str, Callable[[list, Any], Any]] = {
    "frozenset": lambda parts, _: frozenset(parts),
    "bytes": lambda parts, _: _decode(parts),
    "memoryview": lambda parts, _: memoryview(_decode(parts)),
    "singleton": lambda parts, _: SINGLETONS[parts[0]],
    "class": lambda parts, _: CLASSES[parts[0]],
    "same": lambda parts, _: parts[0],
    "keys": lambda parts, name: DICTS[name].fromkeys(parts).keys(),
    "values": lambda parts, name: DICTS[name](enumerate(parts)).values(),
    "items": lambda parts, name: DICTS[name](_pairs(parts)).items(),
    **{kind.__name__: _of_kind(kind) for kind in (complex, range, slice, Fraction, Decimal, date, timedelta, timezone)},
    "datetime": lambda parts, fold: datetime(*parts, fold=fold),
    "time": lambda parts, fold: time(*parts, fold=fold),
}
# The others are begun with (parts, extra) and filled later, because they may contain themselves. A list is made of the
# message's own list, whose items the receiver replaces.
STARTERS: dict[str, Callable[[list, Any], Any]] = {
    "list": lambda parts, _: parts,
    "set": lambda *_: set(),
    "dict": lambda *_: {},
    "Counter": lambda *_: Counter(),
    "OrderedDict": lambda *_: OrderedDict(),
    "defaultdict": lambda _, factory: defaultdict(None if factory is None else CLASSES[factory]),
    "deque": lambda _, maxlen: deque(maxlen=maxlen),
    "array": lambda _, code: array(code),
    "bytearray": lambda *_: bytearray(),
}
FILLERS: dict[str, Callable[[Any, list], Any]] = {
    "set": set.update,
    "dict": lambda value, parts: value.update(_pairs(parts)),
    "Counter": lambda value, parts: dict.update(value, _pairs(parts)),
    "OrderedDict": lambda value, parts: value.update(_pairs(parts)),
    "defaultdict": lambda value, parts: value.update(_pairs(parts)),
    "deque": deque.extend,
    "array": array.extend,
    "bytearray": lambda value, parts: value.extend(_decode(parts)),
}
HASHED = frozenset(("set", "frozenset", "dict", "Counter", "OrderedDict", "defaultdict", "keys", "items"))
CHANGEABLE = {CLASSES[name] for name in STARTERS}
# For types that can change and are in none of the cases of contents and assign.
CONTENTS: dict[type, Callable[[Any], list]] = {}
ASSIGN: dict[type, Callable[[Any, Any], None]] = {}


def contents(value: Any) -> list:
    """The items of a value that can change, or a dict's keys and values, in order."""
    if type(value) in CONTENTS:
        return CONTENTS[type(value)](value)
    return _of_dict(value) if isinstance(value, dict) else list(value)


def assign(target: Any, value: Any) -> None:
    """Gives a value that can change the contents of another of the same type. TypeError if the types differ."""
    kind: Any = type(target)
    kind = kind if kind in CHANGEABLE else _base_of(kind)
    if kind not in CHANGEABLE or type(value) is not kind:
        raise TypeError("not a change of an argument")
    if kind in ASSIGN:
        ASSIGN[kind](target, value)
        return
    if kind in (list, bytearray, array):
        kind.__setitem__(target, slice(None), value)
        return
    kind.clear(target)
    fills: dict[Any, Any] = {deque: deque.extend, set: set.update, OrderedDict: OrderedDict.update}
    fills.get(kind, dict.update)(target, value)
