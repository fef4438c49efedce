"""Restores the types of EvalPlus's inputs, which are stored as JSON: there a tuple or a set is a list.

For MBPP's own tasks, this module does what EvalPlus's loader does: it has a form for the arguments of some tasks, by
number, and leaves all other inputs as they are in JSON. In other files of the same format, the calls in the problem's
assertion serve as examples; see restore_like.
"""

import contextlib
import copy
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any

TASK = re.compile(r"Mbpp/([0-9]+)")
MBPP_TASKS = range(1, 975)
NUMBERS: tuple[Any, ...] = (int, float, complex)  # from the narrowest


def _same(value: Any) -> Any:
    return value


def _tuples(value: Any) -> list[tuple]:
    return [tuple(item) for item in value]


def _sets(value: Any) -> list[Any]:
    return [set(item) if isinstance(item, list) and item else {} for item in value]


def _tuple_with_tuples(value: Any) -> tuple:
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _deep_tuple(value: Any) -> Any:
    return tuple(map(_deep_tuple, value)) if isinstance(value, list) else value


def _values_to_tuples(value: Any) -> dict[str, tuple]:
    return {key: tuple(item) for key, item in value.items()}


# The form of every argument, by task.
EVERY: dict[int, Callable[[Any], Any]] = {
    **dict.fromkeys((2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630), tuple),
    **dict.fromkeys((726, 740, 744, 809), tuple),
    **dict.fromkeys((63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780), _tuples),
    **dict.fromkeys((259, 401, 445), lambda value: tuple(_tuples(value))),
    **dict.fromkeys((580, 615, 791), _deep_tuple),
}
# The forms of the arguments in order, by task. Further arguments are dropped, except in task 722.
EACH: dict[int, tuple[Callable[[Any], Any], ...]] = {
    **dict.fromkeys((75, 413, 444, 753), (_tuples, _same)),
    **dict.fromkeys((106, 750), (_same, tuple)),
    **dict.fromkeys((250, 405, 446, 617, 720, 763, 808), (tuple, _same)),
    115: (_sets,),
    124: (float, complex),
    252: (complex,),
    278: (_tuple_with_tuples,),
    307: (tuple, _same, _same),
    722: (_values_to_tuples,),
}


def mbpp_task(task_id: str) -> int | None:
    """The number of a task of MBPP, or None if the task_id is that of another problem."""
    match = TASK.fullmatch(task_id)
    return int(match[1]) if match and int(match[1]) in MBPP_TASKS else None


def restore_mbpp(task: int, arguments: list[Any]) -> list[Any]:
    """The arguments as EvalPlus's loader restores them. ValueError or TypeError if they do not fit the task."""
    if task in EACH:
        if len(arguments) < len(EACH[task]):
            raise ValueError(f"{len(EACH[task])} arguments are needed")
        restored = [form(value) for form, value in zip(EACH[task], arguments, strict=False)]
        return restored + arguments[1:] if task == 722 else restored
    form = EVERY.get(task, _same)
    return [form(value) for value in arguments]


def restore_like(inputs: list[list[Any]], examples: list[list[Any]]) -> list[list[Any]]:
    """The inputs with the types of the examples, which are the arguments of calls in the problem's assertion.

    An input that is an example in JSON becomes that example. In any other input, a list becomes what the examples have
    at its place: at exactly this place; or else at this index of any list on this level; or else, most often, anywhere
    on this level. A list on a level that no example has becomes what the whole argument consists of, if that is one
    type. Text becomes a number where the examples have only numbers, and a whole number becomes a float where they have
    only floats.
    """
    kinds: dict[Hashable, Counter[type]] = {}
    for arguments in examples:
        for number, value in enumerate(arguments):
            _count((number,), value, kinds)
    restored = []
    for number, arguments in enumerate(inputs):
        # The inputs of the base suite are the assertion's, in its order. Two examples may be the same in JSON.
        nearest = [*examples[number : number + 1], *examples]
        example = next((each for each in nearest if _is_json_of(arguments, each)), None)
        if example is None:
            restored.append([_restore((place,), value, kinds) for place, value in enumerate(arguments)])
        else:
            restored.append(copy.deepcopy(example))
    return restored


def _is_json_of(stored: Any, value: Any) -> bool:
    """Whether the stored JSON value is what a value becomes in JSON."""
    if isinstance(value, (list, tuple)):
        return (
            isinstance(stored, list)
            and len(stored) == len(value)
            and all(_is_json_of(one, other) for one, other in zip(stored, value, strict=True))
        )
    if isinstance(value, (set, frozenset)):
        return (
            isinstance(stored, list)
            and len(stored) == len(value)
            and all(any(_is_json_of(item, each) for each in value) for item in stored)
        )
    if isinstance(value, dict):
        return (
            isinstance(stored, dict)
            and list(stored) == list(map(str, value))
            and all(_is_json_of(stored[str(key)], item) for key, item in value.items())
        )
    return type(stored) in (type(value), str) and stored in (value, str(value))


Place = tuple[Any, ...]  # the number of an argument, then an index or a key for each level below it


def _nearby(place: Place) -> Iterator[Place]:
    """The place, then wider descriptions of where it is."""
    yield place
    yield (place[0], *("*" for _ in place[1:-1]), *place[1:][-1:])
    yield _level(place)


def _level(place: Place) -> Place:
    return (place[0], *("*" for _ in place[1:]))


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    """(index or key, item) pairs. The items of a set have no place of their own."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)
    elif isinstance(value, (set, frozenset)):
        yield from (("*", item) for item in value)


def _count(place: Place, value: Any, kinds: dict[Hashable, Counter[type]]) -> None:
    """Counts the type of the value, and of all that it contains, at its places."""
    for each in dict.fromkeys(_nearby(place)):
        kinds.setdefault(each, Counter())[type(value)] += 1
    if isinstance(value, (list, tuple, set, frozenset)):
        kinds.setdefault(place[0], Counter())[type(value)] += 1
    for key, item in _items(value):
        if isinstance(value, dict):
            kinds.setdefault(("key", *_level(place)), Counter())[type(key)] += 1
        _count((*place, str(key) if isinstance(value, dict) else key), item, kinds)


def _restore(place: Place, value: Any, kinds: dict[Hashable, Counter[type]]) -> Any:
    if isinstance(value, dict):
        key_kinds = kinds.get(("key", *_level(place)), Counter())
        return {_number(key, key_kinds): _restore((*place, key), item, kinds) for key, item in value.items()}
    if not isinstance(value, list):
        return _number(value, kinds.get(_level(place), Counter()))
    kind = _container(place, kinds)
    items = [_restore((*place, index), item, kinds) for index, item in enumerate(value)]
    if kind in (set, frozenset):
        return kind(tuple(item) if isinstance(item, list) else item for item in items)
    return kind(items)


def _container(place: Place, kinds: dict[Hashable, Counter[type]]) -> type:
    """What a JSON list at this place becomes."""
    *near, level = (_containers(kinds.get(each, Counter())) for each in _nearby(place))
    for found in near:
        if len(found) == 1:
            return next(iter(found))
    if level:
        most = max(level.values())
        return list if level[list] == most else max(level, key=lambda kind: level[kind])
    argument = kinds.get(place[0], Counter())
    return next(iter(argument)) if len(argument) == 1 and not argument.keys() & {set, frozenset} else list


def _containers(found: Counter[type]) -> Counter[type]:
    return Counter({kind: found[kind] for kind in (list, tuple, set, frozenset) if kind in found})


def _number(value: Any, found: Counter[type]) -> Any:
    """Converts text to a number where only numbers were found, and a whole number to a float among floats."""
    numbers = [kind for kind in NUMBERS if kind in found]
    if not numbers or str in found:
        return value
    if type(value) is int and numbers == [float]:
        return float(value)
    if type(value) is str:
        for kind in NUMBERS[NUMBERS.index(numbers[0]) :]:
            with contextlib.suppress(ValueError):
                return kind(value)
    return value
