"""Objects of a program, as a test uses them from another process.

A test of MBPP may call each function of the program, make objects of its classes, and pass functions to it. The
checker, which runs the tests, has none of the program's objects. Where an answer cannot be sent, the test gets a
RemoteObject: what the test does with it, HOST does with the object in the program's process.
"""

import functools
import marshal
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FunctionType, MethodDescriptorType
from typing import Any

# Defines _do, which takes one action of a test. {imports}: source that the program's module runs as well.
HOST = """\
import builtins
import importlib
import marshal
import operator
import types

names = vars(load())
exec({imports!r}, names)
objects, numbers = [], {{}}  # those that the test has, and their numbers by id


def _look_up(name):
    if name not in names:
        raise NameError(f"name {{name!r}} is not defined")
    return names[name]


def _next(iterator):
    for item in iterator:
        return [item]
    return []


def _build(node):
    kind, *content = node
    if kind == "plain":
        return content[0]
    if kind == "object":
        return objects[content[0]]
    if kind == "function":
        code, defaults = content
        return types.FunctionType(marshal.loads(code), names, "function", tuple(map(_build, defaults)))
    if kind == "name":
        return operator.attrgetter(content[1])(importlib.import_module(content[0]))
    if kind == "dict":
        return {{_build(key): _build(item) for key, item in content[0]}}
    return getattr(builtins, kind)(map(_build, content[0]))


ACTIONS = {{**vars(builtins), **vars(operator), "look_up": _look_up, "next": _next}}


def _do(action, number, built, /, *arguments, **named):
    if built:
        arguments, named = map(_build, arguments)
    value = ACTIONS[action](*([] if number is None else [objects[number]]), *arguments, **named)
    # An iterator may have items that cannot be sent.
    sendable = can_send(value) and not hasattr(value, "__next__")
    if sendable and type(value).__module__ != names["__name__"]:
        return value, None
    number = numbers.setdefault(id(value), len(objects))
    if number == len(objects):
        objects.append(value)
    return value if sendable else None, number
"""
OPERATORS = """
len bool str repr hash iter reversed int float complex round format abs neg pos invert index getitem setitem delitem
"""
ARITHMETIC = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
COMPARISONS = "eq lt le gt ge"
COLLECTIONS = (list, tuple, set, frozenset)
EXTENSIBLE = (int, float, complex, str, bytes, *COLLECTIONS, dict)
FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodDescriptorType, type)


class RemoteObject:
    """An object in the program's process. It is never equal to a value of the test's own.

    Nor can it be compared or computed with one: the program would see the value, and could make its answer fit.
    """

    def __init__(self, program: "RemoteProgram", number: int) -> None:
        self.__dict__.update(_program=program, _number=number)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__name__":
            raise AttributeError(name)  # such as those by which copy and pickle find out what an object can do
        return self._program.do("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._program.do("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._program.do("delattr", self, name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._program.do("call", self, *arguments, **named)

    def __instancecheck__(self, value: Any) -> bool:
        return self._program.do("isinstance", value, self)

    def __next__(self) -> Any:
        found = self._program.do("next", self)
        if not len(found):
            raise StopIteration
        return found[0]


def _define_operators() -> None:
    def unary(action: str) -> Callable[..., Any]:
        return lambda self, *arguments: self._program.do(action, self, *arguments)

    def binary(action: str) -> Callable[..., Any]:
        return lambda self, other: (
            self._program.do(action, self, other) if isinstance(other, RemoteObject) else NotImplemented
        )

    for name in OPERATORS.split():
        setattr(RemoteObject, f"__{name}__", unary(name))
    for name in ARITHMETIC.split():
        action = name + "_" * (name in ("and", "or"))
        setattr(RemoteObject, f"__{name}__", binary(action))
    for name in COMPARISONS.split():
        setattr(RemoteObject, f"__{name}__", binary(name))


_define_operators()


class RemoteProgram:
    """The program that a test is about. candidate: calls HOST's _do."""

    def __init__(self, candidate: Callable[..., Any]) -> None:
        self._candidate = candidate
        self._objects: dict[int, RemoteObject] = {}

    def do(self, action: str, /, *arguments: Any, **named: Any) -> Any:
        """Takes an action in the program's process and returns its result. Raises what it raises."""
        # The object that the action is about goes in front, so that other arguments remain as they are, if possible.
        first = _remote(arguments[0]) if arguments else None
        place = None if first is None else first.__dict__["_number"]
        arguments = arguments if first is None else arguments[1:]
        if _has_special((arguments, named)):
            answer = self._candidate(action, place, True, _describe(arguments), _describe(named))
        else:
            answer = self._candidate(action, place, False, *arguments, **named)
        value, number = answer
        if number is None:
            return value
        if number not in self._objects:
            self._objects[number] = RemoteObject(self, number)
        remote = self._objects[number]
        if value is None:
            return remote
        kind = type(value)
        if kind not in EXTENSIBLE:
            return value
        # An object of a class of the program that extends a built-in one, such as a named tuple.
        attributes = {"remote": remote, "__getattr__": lambda _, name: getattr(remote, name)}
        return type(kind.__name__, (kind,), attributes)(value)

    def type_of(self, *arguments: Any) -> Any:
        """type, also for objects of the program."""
        value = _remote(arguments[0]) if len(arguments) == 1 else None
        return type(*arguments) if value is None else self.do("type", value)


def _remote(value: Any) -> RemoteObject | None:
    return value if isinstance(value, RemoteObject) else getattr(type(value), "remote", None)


def _has_special(value: Any) -> bool:
    """Whether the value is or contains one that is sent as a description."""
    if type(value) in COLLECTIONS:
        return any(map(_has_special, value))
    if type(value) is dict:
        return any(map(_has_special, value)) or any(map(_has_special, value.values()))
    return isinstance(value, FUNCTIONS) or _remote(value) is not None


def _describe(value: Any) -> tuple[Any, ...]:
    """Plain data of which HOST's _build makes the value. A function of the test may use only its arguments."""
    remote = _remote(value)
    if remote is not None:
        return "object", remote.__dict__["_number"]
    if type(value) in COLLECTIONS:
        return type(value).__name__, [_describe(item) for item in value]
    if type(value) is dict:
        return "dict", [[_describe(key), _describe(item)] for key, item in value.items()]
    if isinstance(value, FunctionType) and value.__module__ not in sys.stdlib_module_names:
        if value.__closure__:
            raise TypeError("a function that uses variables of another cannot be passed to the program")
        return "function", marshal.dumps(value.__code__), [_describe(item) for item in value.__defaults__ or ()]
    if isinstance(value, FUNCTIONS):
        return "name", getattr(value, "__module__", "builtins"), value.__qualname__
    return "plain", value


@functools.lru_cache(maxsize=4096)
def _compiled(source: str) -> CodeType:
    return compile(source, "test.py", "exec")


def run_tests(
    candidate: Callable[..., Any],
    reference: dict[str, Any],
    defined: tuple[str, ...],
    imported: tuple[str, ...],
    setup: str,
    tests: tuple[str, ...],
) -> None:
    """Runs the tests with the program's objects; raises what they raise.

    reference: the namespace of the reference solution. defined, imported: of the names that the tests use, those that
    the reference solution defines and those that it imports. setup: runs before the tests.
    """
    program = RemoteProgram(candidate)
    scope: dict[str, Any] = {"__name__": "test"}
    for name in (*defined, *imported):
        try:
            value = program.do("look_up", name)
        except NameError:  # then a test that uses it fails, as it does when it runs after the program
            continue
        own = reference.get(name)
        # Imported functions may compare answers. Classes of exceptions are recognised by their names.
        is_own = name in imported or (isinstance(own, type) and issubclass(own, BaseException))
        scope[name] = own if is_own else value
    if any("type(" in test for test in tests):
        scope["type"] = program.type_of
    exec(_compiled(setup), scope)
    for test in tests:
        exec(_compiled(test), scope)
