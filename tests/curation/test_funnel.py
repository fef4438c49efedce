import json

import pytest

from codex_jax.curation.funnel import EXAMPLES, Funnel
from codex_jax.errors import InputError


def test_counts_add_up(tmp_path, capsys):
    funnel = Funnel()
    funnel.found = 20
    for number in range(7):
        funnel.drop("too_long", f"n{number}")
    funnel.drop("method", "[bold]m")
    funnel.notes["repeats"] = 3
    assert funnel.kept == 12
    funnel.write(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == {
        "found": 20,
        "kept": 12,
        "dropped": {"too_long": 7, "method": 1},
        "examples": {"too_long": [f"n{n}" for n in range(EXAMPLES)], "method": ["[bold]m"]},
        "repeats": 3,
    }
    funnel.show("functions")
    shown = capsys.readouterr().out
    assert "dropped: too long" in shown
    with pytest.raises(InputError, match="cannot write"):
        funnel.write(tmp_path / "no" / "r.json")
