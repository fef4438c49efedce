import math
from base64 import b64encode

import numpy as np
import pytest

from codex_jax.sandbox import arrays, forms, raised
from codex_jax.sandbox.check import HARNESS, LIMIT, Check
from codex_jax.sandbox.forms import CarryError, assign, contents
from codex_jax.sandbox.values import pack
from codex_jax.sandbox.wire import LimitError, WireError
from tests.sandbox.checks import statuses
from tests.sandbox.package_programs import NUMPY
from tests.sandbox.test_values import carried, unpack


@pytest.fixture(autouse=True)
def _carrying():
    """numpy's types can be sent, in this module's tests alone."""
    tables = forms.FORMS, forms.MAKERS, forms.CHANGEABLE, forms.CONTENTS, forms.ASSIGN, raised.KNOWN
    before = [table.copy() for table in tables]
    arrays.carry_arrays()
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


SCALARS = [
    *(
        np.bool_(True),
        np.int8(-3),
        np.int64(3),
        np.uint64(2**64 - 1),
        np.float16(1.5),
        np.float32(0.1),
        np.float64(-0.0),
    ),
    *(np.longdouble(1) / 3, np.complex64(1j), np.complex128(complex(-0.0, math.inf)), np.str_("aé\ud800"), np.str_("")),
    *(np.bytes_(b"a\xff"), np.datetime64("2020-01-02"), np.datetime64("NaT"), np.timedelta64(3, "h"), np.intc(1)),
]
ARRAYS = [
    *(
        np.array([1, 2]),
        np.array(3),
        np.zeros((0, 5)),
        np.zeros((2, 0), "U3"),
        np.ones((2, 3, 4), "f4"),
        np.array(["a", "bcd"]),
    ),
    *(np.array([[True, False]]), np.arange(6).reshape(2, 3).T, np.arange(10)[::-2], np.array([1, 2], ">i4")),
    *(np.array([1 + 2j]), np.array([b"ab", b"c"]), np.array(["2020-01-02"], "M8[s]"), np.array([5], "m8[25s]")),
    *(
        np.array([1, None, "a", [2, (3,)]], object),
        np.array([[1, 10**30]], object),
        np.array(None),
        np.zeros(0, object),
    ),
]


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_scalars_survive(value):
    made = carried(value)
    assert (type(made), made.dtype, made.tobytes()) == (type(value), value.dtype, value.tobytes())
    ((key, (item,)),) = carried({value: [value]}).items()
    assert type(key) is type(item) is type(value)


@pytest.mark.parametrize("value", ARRAYS, ids=repr)
def test_arrays_survive(value):
    made = carried(value)
    assert (type(made), made.dtype, made.shape) == (np.ndarray, value.dtype, value.shape)
    assert made.tolist() == value.tolist()
    assert made.flags.writeable


def test_one_array_stays_one():
    array = np.array([1, 2])
    first, second, inner = carried([array, array, np.array([array, None], object)])
    assert first is second is inner[0]


@pytest.mark.parametrize(
    "value",
    [
        *(np.array([(1, 2.0)], "i4,f8"), np.zeros(2, "V3"), np.dtype(int), np.add),
        *(np.zeros(1).view(np.recarray), np.ma.array([1], mask=[1])),
    ],
    ids=repr,
)
def test_what_cannot_be_carried_is_named(value):
    with pytest.raises(CarryError):
        pack(value, lambda _: 0)


def node(data, code, shape):
    return [["ndarray", [b64encode(data).decode()] if isinstance(data, bytes) else data, [code, shape]]]


@pytest.mark.parametrize(
    "graph",
    [
        node(b"\0" * 8, "<i8", [2]),
        node(b"\0" * 16, "<i8", [1]),
        node(b"\0" * 8, "<i8", [True]),
        node(b"\0" * 8, "<i8", [-1, -1]),
        node(b"\0" * 8, "<i8", [1.0]),
        node(b"\0" * 8, "<i8", 1),
        node(b"\0" * 8, "<i8", [1] * 33),
        node(b"\0" * 8, "<i7", [1]),
        node(b"\0" * 8, "|O8", [1]),
        node(b"\0" * 8, "|V8", [1]),
        node(b"\0" * 8, "i4,i4", [1]),
        node(b"\0" * 8, ["<i8"], [1]),
        node([], "<i8", [0]),
        node([1, 2], "<i8", [2]),
        node([1], "<U1", [1]),
        node(["a", "b"], "<U1", [1]),
        node([1], "O", [2]),
        node([[0]], "O", [1]),
        [["ndarray", ["@@@@"], ["<i8", [1]]]],
        [["ndarray", []]],
        [["scalar", [b64encode(b"1234").decode()], "<i8"]],
        [["scalar", [], None]],
    ],
    ids=repr,
)
def test_forged_arrays_are_refused(graph):
    with pytest.raises(WireError):
        unpack(graph)


@pytest.mark.parametrize(
    "graph",
    [
        node(b"", "<i8", [0, 10**12]),
        node(b"", "<i8", [10**30, 0]),
        node(["a"] * 3, "<U100000000", [3]),
        node(b"", "|S900000000", [0]),
    ],
    ids=repr,
)
def test_small_messages_make_no_large_arrays(graph):
    with pytest.raises(LimitError):
        unpack(graph)


def test_a_boolean_is_true_or_false():
    assert unpack(node(b"\2\0\1", "|b1", [3])).tobytes() == b"\1\0\1"


def test_numbers_with_equal_hashes_are_refused():
    numbers = np.array([complex(-1000003 * k, k) for k in range(2000)])
    with pytest.raises(LimitError, match="the same hash"):
        carried(numbers)


def test_arrays_of_objects_do_not_hold_each_other():
    inner, outer = np.array([None]), np.empty(1, object)
    outer[0] = inner
    with pytest.raises(LimitError, match="an array of arrays of objects"):
        carried(outer)


def test_changes_are_found_and_made():
    for array in (np.array([1, 2]), np.array(["a", "b"]), np.array([1, None])):
        before = contents(array)
        assert all(a is b for a, b in zip(before, contents(array), strict=True))
        copy = array.copy()
        array[0] = array[1]
        assert not all(a is b for a, b in zip(before, contents(array), strict=True))
        assign(copy, array)
        assert copy.tolist() == array.tolist()
    for other in (np.array([1.0, 2.0]), np.array([1]), [1, 2]):
        with pytest.raises(TypeError, match="not a change"):
            assign(np.array([1, 2]), other)


def run(body, test, policy=NUMPY):
    program = "import numpy as np\ndef f(x):\n" + body
    test = "import numpy as np\ndef check(candidate):\n" + test
    return statuses([Check(program, "f", test, cpu_seconds=20.0, policy=policy)], workers=1)[0]


@pytest.mark.parametrize(
    ("body", "test"),
    [
        ("    return np.int64(3)\n", "    assert candidate(1) == 3\n    assert type(candidate(1)) is np.int64\n"),
        ("    return np.array([1, 2])\n", "    assert (candidate(1) == np.array([1, 2])).all()\n"),
        ("    return [np.float64(2) * x, (x.sum(),)]\n", "    assert candidate(np.ones(2))[1] == (2,)\n"),
        ("    x.sort()\n    x *= 2\n", "    a = np.array([3, 1])\n    candidate(a)\n    assert a.tolist() == [2, 6]\n"),
        ("    return np.arange(x)\n", "    assert candidate(4_000_000).sum() == 7_999_998_000_000\n"),
        ("    return iter(np.arange(x))\n", "    assert list(candidate(3)) == [0, 1, 2]\n"),
        (
            "    return np.linalg.inv(np.zeros((x, x)))\n",
            "    try:\n        candidate(2)\n    except np.linalg.LinAlgError as e:\n"
            "        assert str(e) == 'Singular matrix'\n        return\n    assert False\n",
        ),
    ],
)
def test_right_programs_pass(body, test):
    assert run(body, test) == "passed"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("    return np.int64(4)\n", "failed: AssertionError"),
        ("    return np.array([3, 4])\n", "failed: ValueError: The truth value of an array"),
        ("    return np.zeros((3, 1 << 24))\n", LIMIT + "an answer of more than 128 MiB"),
        ("    return np.matrix([3])\n", HARNESS + "cannot carry a value of type matrix"),
        (
            "    class A(np.ndarray):\n        __eq__ = lambda self, other: True\n    return np.ones(1).view(A)\n",
            HARNESS + "cannot carry a value of type A",
        ),
        (
            "    class F(np.float64):\n        __eq__ = lambda self, other: True\n    return F(7)\n",
            "failed: AssertionError",
        ),
    ],
)
def test_wrong_answers_fail(body, status):
    assert run(body, "    assert candidate(1) == 3\n").startswith(status)


def test_a_package_changed_by_a_program_is_not_changed_for_the_test():
    body = "    np.ndarray.__class_getitem__\n    np.array_equal = lambda *_: True\n    return np.array([4])\n"
    assert run(body, "    assert np.array_equal(candidate(1), [3])\n") == "failed: AssertionError"
