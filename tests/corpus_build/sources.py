"""Source files for small corpora: repositories with copies, near copies and files that filters reject."""

import json
import random


def program(rng, functions):
    names = [f"{rng.choice('abcdefgh')}{rng.randrange(10**6)}" for _ in range(4)]
    lines = (
        f"def {rng.choice(names)}_{n}(x):\n    y = x * {rng.randrange(999)}\n    return y - {rng.choice(names)}\n\n"
        for n in range(functions)
    )
    return "".join(lines)


def write_repositories(folder, repos=24, files=4, seed=0):
    """folder/rN/mK.py; every fourth repository has an exact and a near copy of its last file, in another one."""
    rng = random.Random(seed)
    for repo in range(repos):
        (folder / f"r{repo}").mkdir(parents=True, exist_ok=True)
        (folder / f"x{repo}").mkdir(parents=True, exist_ok=True)
        for number in range(files):
            text = program(rng, rng.randint(10, 40))
            (folder / f"r{repo}" / f"m{number}.py").write_text(text)
        if repo % 4 == 0:
            (folder / f"x{repo}" / "copy.py").write_text(text.replace("\n\n", "\n \n\n"))
            (folder / f"x{repo}" / "near.py").write_text(text + "last = 1\n")
    (folder / "r0" / "generated.py").write_text("# Auto-generated, do not edit\nx = 1\n")
    (folder / "r0" / "latin.py").write_bytes(b"# \xff\nx = 1\n")
    return folder


def write_lines(path, documents=40, seed=0, repos=10):
    """JSON lines with content and repo_name."""
    rng = random.Random(seed)
    rows = ({"content": program(rng, 20), "repo_name": f"{path.stem}/{n % repos}"} for n in range(documents))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
