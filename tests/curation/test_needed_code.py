import ast

import pytest

from codex_jax.curation.needed_code import MAX_HELPERS, NotStandaloneError, standalone
from codex_jax.curation.source_module import SourceModule, find_in, global_names


def head(text, name="f", also=()):
    module = SourceModule(text)
    function = next(node for node in module.tree.body if getattr(node, "name", "") == name)
    return standalone(module, function, {*also})[0]


def test_only_what_is_needed_is_taken_in_the_order_of_the_module():
    text = "import os, math as m\nA = 1\nB = A + 1\nC = 3\ndef g(): return m.pi + B\n"
    text += "@deco\ndef f(): return g()\ndef deco(x): return x\n"
    assert head(text) == (
        "import math as m\nA = 1\nB = A + 1\n\n\ndef g(): return m.pi + B\n\n\ndef deco(x): return x\n\n\n"
    )
    assert head("def f(): return len('a')\n") == ""
    assert head("C = 3\ndef f(): pass\n", also=["C"]) == "C = 3\n\n\n"


def test_statements_that_change_a_value_come_with_it():
    text = "T = {}\nT['a'] = 1\nT.update(b=2)\nU = 1\nif U:\n    V = 2\nelse:\n    V = 3\ndef f(): return T, V\n"
    assert head(text).strip() == text[: text.index("def f")].strip()


def test_future_imports_and_mutual_recursion():
    text = "from __future__ import annotations\ndef g(n): return f(n)\ndef f(n): return n and g(n - 1)\n"
    assert head(text) == "from __future__ import annotations\n\n\ndef g(n): return f(n)\n\n\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(): return missing\n", "undefined_name"),
        ("def f(): return __file__\n", "undefined_name"),
        ("from x import *\ndef f(): return y\n", "undefined_name"),
        ("import numpy as np\ndef f(): return np.e\n", "needs_other_modules"),
        ("from .x import y\ndef f(): return y\n", "needs_other_modules"),
        ("def f():\n    import numpy\n", "needs_other_modules"),
        ("N = 0\ndef f():\n    global N\n    N += 1\n", "changes_globals"),
        ("N = 0\ndef g():\n    global N\n    N += 1\ndef f(): g()\n", "changes_globals"),
        (
            "".join(f"A{n} = A{n + 1}\n" for n in range(MAX_HELPERS)) + f"A{MAX_HELPERS} = 1\ndef f(): return A0\n",
            "too_many_helpers",
        ),
    ],
)
def test_what_cannot_stand_alone(text, reason):
    with pytest.raises(NotStandaloneError, match=f"^{reason}$"):
        head(text)


def test_global_names():
    source = "def f(a, b=c, *d):\n    e = a\n    return [g(x, e) for x in d] + [lambda y: y + h]\n"
    assert global_names(source) == {"c", "g", "h"}
    assert global_names("x = y\nprint(x)\n") == {"x", "y", "print"}


def test_a_module_is_read_with_any_line_ends():
    module = SourceModule("\ufeffA = 1\r\n@a\r\ndef f():\r\n    pass\r\n")
    assert module.source(module.tree.body[1]) == "@a\ndef f():\n    pass\n"
    assert ast.unparse(module.tree.body[0]) == "A = 1"
    with pytest.raises(SyntaxError):
        SourceModule("def f(")


def program(files, file, name="f"):
    module = find_in(files, (".",))(file)
    function = next(node for node in module.tree.body if getattr(node, "name", "") == name)
    return "".join(standalone(module, function, set()))


def test_helpers_come_from_other_modules_of_the_project():
    files = {
        "p/__init__.py": "from .low import LIMIT\n",
        "p/low.py": "import math\nLIMIT = 3\ndef low(x): return math.floor(x) + LIMIT\n",
        "p/mid.py": "import p\nfrom p import low as lower\ndef mid(x): return lower.low(x) + p.LIMIT\n",
        "p/top.py": "from .mid import mid as middle\nfrom . import low\n\n\n"
        "def f(x):\n    return middle(x) + low.low(x) * low.LIMIT\n",
    }
    source = program(files, "p.top")
    assert source == (
        "import math\nLIMIT = 3\n\n\ndef low(x): return math.floor(x) + LIMIT\n\n\ndef mid(x): return low(x) + LIMIT\n"
        "middle = mid\n\n\ndef f(x):\n    return middle(x) + low(x) * LIMIT\n"
    )
    scope: dict = {}
    exec(source, scope)
    assert scope["f"](1.5) == 1 + 3 + 3 + (1 + 3) * 3


def test_names_that_are_bound_by_a_star():
    files = {"p/__init__.py": "", "p/a.py": "from .b import *\ndef f(): return g()\n", "p/b.py": "def g(): return 1\n"}
    assert program(files, "p.a") == "def g(): return 1\n\n\ndef f(): return g()\n"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.py": "import b\ndef f(): return b\n", "b.py": ""}, "needs_a_module_as_a_value"),
        ({"a.py": "import b\ndef f(): b.x = 1\n", "b.py": "x = 0\n"}, "needs_a_module_as_a_value"),
        (
            {
                "a.py": "from b import g\ndef h(): pass\ndef f(): return g(), h()\n",
                "b.py": "def h(): pass\ndef g(): h()\n",
            },
            "helpers_share_a_name",
        ),
        (
            {"a.py": "import math\nimport b\ndef f(): return b.g(math)\n", "b.py": "math = 1\ndef g(x): return math\n"},
            "helpers_share_a_name",
        ),
        ({"a.py": "import b\ndef f(): return b.missing\n", "b.py": ""}, "needs_a_module_as_a_value"),
        (
            {"a.py": "from b import g\ndef f(): return g()\n", "b.py": "import numpy\ndef g(): return numpy\n"},
            "needs_other_modules",
        ),
    ],
)
def test_what_other_modules_cannot_give(files, reason):
    with pytest.raises(NotStandaloneError, match=f"^{reason}$"):
        program(files, "a")


def test_annotations_that_are_not_evaluated_need_nothing():
    text = "from __future__ import annotations\nfrom x import Y\ndef f(a: Y) -> Z: return a\n"
    assert head(text) == "from __future__ import annotations\n\n\n"


def test_other_characters_before_a_name_of_a_module():
    files = {
        "a.py": "import b\n\n\ndef f(x):\n    s = 'é'; y = b.g(s) + b.g(b.g(x))\n    return y\n",
        "b.py": "def g(x): return x\n",
    }
    assert program(files, "a").endswith("    s = 'é'; y = g(s) + g(g(x))\n    return y\n")
