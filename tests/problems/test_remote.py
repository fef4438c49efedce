import json
from types import ModuleType

import pytest

from codex_jax.problems.remote import HOST, RemoteObject, RemoteProgram, run_tests

PROGRAM = """
class Node:
    def __init__(self, data, left=None):
        self.data, self.left, self.right = data, left, None
class Word(str):
    length = 3
class Bag(list):
    pass
def same(value):
    return value
def call(function, *values):
    return function(*values)
"""


def candidate_of(source):
    """HOST's _do in this process, with only such answers as JSON can express."""
    module = ModuleType("candidate")
    exec(source, vars(module))

    def can_send(value):
        try:
            json.dumps(value)
        except TypeError:
            return False
        return True

    scope = {"load": lambda: module, "can_send": can_send}
    exec(HOST.format(imports="import math"), scope)

    def candidate(*arguments, **named):
        value, number = scope["_do"](*arguments, **named)
        return json.loads(json.dumps(value)), number

    return candidate


@pytest.fixture
def program():
    return RemoteProgram(candidate_of(PROGRAM))


def test_an_object_stays_one_object(program):
    node = program.do("look_up", "Node")
    shared = node(1)
    other = node(shared, shared)
    assert other.data is other.left is shared
    assert program.do("look_up", "same")([shared, {"a": other}])[1]["a"] is other
    assert node(1) is not shared
    assert program.do("look_up", "Node") is node


def test_objects_inside_collections(program):
    node, same = program.do("look_up", "Node"), program.do("look_up", "same")
    nodes, by_name, pair, numbers = same(([node(1), node(2)], {"a": node(3)}, (node(4), "x"), {5, 6}))
    assert [each.data for each in nodes] == [1, 2]
    assert by_name["a"].data == 3
    assert (pair[0].data, pair[1], sorted(numbers)) == (4, "x", [5, 6])


def test_objects_that_extend_a_built_in_type(program):
    word, bag = program.do("look_up", "Word")("ab"), program.do("look_up", "Bag")([1])
    assert (word, word.length, word + "c", word.upper()) == ("ab", 3, "abc", "AB")
    assert isinstance(word, str)
    assert not isinstance(word, RemoteObject)
    assert program.type_of(word) is program.do("look_up", "Word")
    assert bag == [1]
    assert isinstance(bag, program.do("look_up", "Bag"))


def test_functions_as_arguments(program):
    call, offset = program.do("look_up", "call"), 3
    assert call(lambda x, y=2: x * y, 4) == 8
    assert call(max, 1, 2) == 2
    assert call(str.upper, "a") == "A"
    assert call(json.dumps, [1]) == "[1]"
    assert call(call, call, abs, -1) == 1
    assert call(eval("lambda x: math.floor(same(x))"), 2.5) == 2  # it sees what the program defines
    with pytest.raises(TypeError, match="uses variables of another"):
        call(lambda x: x + offset, 1)


def test_what_goes_wrong(program):
    node = program.do("look_up", "Node")(1)
    with pytest.raises(AttributeError):
        node.nothing  # noqa: B018
    with pytest.raises(TypeError):
        len(node)
    with pytest.raises(NameError, match="'nothing' is not defined"):
        program.do("look_up", "nothing")
    for answer in (None, 3, (), (1, 2, 3), (None, []), "ab"):
        with pytest.raises((TypeError, ValueError, AssertionError)):
            run_tests(lambda *_, answer=answer: answer, {}, ("f",), (), "", ("assert f(1) == 'a'",))


def test_names_setup_and_tests():
    tests = ("assert call(same, root.data) == two", "assert math.floor(two) == 2 and type(math) is not type(root)")
    reference: dict = {}
    exec("import math\nunknown = 3\n" + PROGRAM, reference)
    run_tests(candidate_of(PROGRAM), reference, ("Node", "call", "same"), ("math",), "two = 2\nroot = Node(two)", tests)
    with pytest.raises(NameError):
        run_tests(candidate_of(PROGRAM), reference, ("unknown",), (), "", ("assert unknown",))


def test_exceptions_of_the_program_are_caught_by_the_reference_s_class():
    source = "class Small(ValueError):\n    pass\n"
    exec(source, reference := {})
    tests = ("try:\n    raise Small(3)\nexcept Small as error:\n    assert error.args == (3,)",)
    run_tests(candidate_of(source), reference, ("Small",), (), "", tests)


def test_an_answer_does_not_see_the_value_that_it_is_compared_with():
    source = """
class Fitting:
    def __init__(self):
        self.seen = []
    def fit(self, other):
        self.seen.append(other)
        return 0
    __sub__ = __rsub__ = __add__ = __radd__ = __mod__ = __rmod__ = __eq__ = __lt__ = __ge__ = fit
    __hash__ = None
def f():
    return Fitting()
"""
    program = RemoteProgram(candidate_of(source))
    answer = program.do("look_up", "f")()
    assert (answer == 3) is False
    for compute in (lambda: answer - 3, lambda: 3 - answer, lambda: 3 + answer, lambda: answer % 3, lambda: answer < 3):
        with pytest.raises(TypeError):
            compute()
    assert answer.seen == []
    assert answer - answer == 0  # two objects of the program may be computed with
