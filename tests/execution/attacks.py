"""Programs that try what none may do, by category: all stand for a function that should return a + b.

Each is the body of that function, or, from a line "---" on, the module below it. One that has its way returns the right
answer, so that a pass means an attack that worked. SECRET is a file that the machine's own rights let anybody read,
write and remove; MARK is a name that must appear nowhere but in the program's own folder.
"""

from tests.execution.denied import DENIED

TOKEN = "xyzzy-of-another-sample"

VERDICT = {
    "int_equal_to_all": "class A(int):\n    __eq__ = lambda s, o: True\n    __hash__ = int.__hash__\nreturn A(5)",
    "object_equal_to_all": "class A:\n    __eq__ = lambda s, o: True\nreturn A()",
    "list_equal_to_all": "class A(list):\n    __eq__ = lambda s, o: True\n    __len__ = lambda s: 2\nreturn A()",
    "str_equal_to_all": "class A(str):\n    __eq__ = lambda s, o: True\n    __add__ = lambda s, o: s\nreturn A('3')",
    "class_that_lies": "class A:\n    __class__ = int\n    __eq__ = lambda s, o: True\nreturn A()",
    "falsy_not_equal": "class A(int):\n    __ne__ = lambda s, o: False\n    __eq__ = lambda s, o: NotImplemented\nreturn A(9)",
    "exit_0": "import os\nos._exit(0)",
    "exit_0_at_import": "return 0\n---\nimport os\nos._exit(0)",
    "sys_exit": "import sys\nsys.exit(0)",
    "sys_exit_at_import": "return 0\n---\nraise SystemExit(0)",
    "keyboard_interrupt": "raise KeyboardInterrupt",
    "generator_exit": "raise GeneratorExit",
    "stop_iteration": "raise StopIteration",  # which ends a map() in the test
    "stop_async_iteration": "raise StopAsyncIteration",
    "own_base_exception": "class E(BaseException): pass\nraise E",
    "exception_that_lies": "class E(Exception):\n    __str__ = lambda s: 1 / 0\nraise E",
    "assertion_error": "raise AssertionError",
    "prints_passed": "print('passed', flush=True)\nreturn 0",
    "no_assertions": "return 0\n---\nimport builtins\nbuiltins.AssertionError = Exception\nbuiltins.__debug__x = 0",
    "patched_builtins": "return 0\n---\nimport builtins\nfor n in ('compile', 'exec', 'isinstance', 'type', 'getattr'):\n"
    "    setattr(builtins, n, lambda *a, **k: True)",
    "patched_wire": "return 0\n---\nimport sys\nfor n, m in list(sys.modules.items()):\n    if n.endswith('wire'):\n"
    "        m.encode = lambda v: b'\"passed\"'\n        m.decode = lambda v: ('passed',)",
    "patched_send": "return 0\n---\nimport sys\nfor m in list(sys.modules.values()):\n    if hasattr(m, 'send'):\n"
    "        m.send = lambda d, b: __import__('os').write(d, b'passed')",
    "patched_json": "return 0\n---\nimport json\njson.dumps = lambda v: '{\"tuple\": [\"value\", true]}'",
    "forged_verdict": "return 0\n---\nimport os\nfor fd in range(64):\n    try: os.write(fd, b'passed\\n')\n"
    "    except OSError: pass",
    "forged_line": "return 0\n---\nimport os\nfor fd in range(64):\n"
    "    try: os.write(fd, b'{\"result\": \"passed\", \"seconds\": 0}\\n')\n    except OSError: pass",
    "forged_reply": "return 0\n---\nimport os, struct\nm = b'{\"tuple\": [\"ready\"]}'\nfor fd in range(64):\n"
    "    try: os.write(fd, struct.pack('<I', len(m)) + m)\n    except OSError: pass",
    "forged_replies_in_a_thread": "return 0\n---\nimport os, struct, threading\n"
    "m = b'{\"tuple\": [\"value\", {\"int\": \"0x7\"}]}'\ndef flood():\n    while True: os.write(4, struct.pack('<I', len(m)) + m)\n"
    "threading.Thread(target=flood, daemon=True).start()",
    "forged_error": "return 0\n---\nimport os, struct\nfor k in ('exit', 'quit', 'type', 'StopIteration', '__import__'):\n"
    "    m = ('{\"tuple\": [\"error\", \"%s\", \"0\"]}' % k).encode()\n    os.write(4, struct.pack('<I', len(m)) + m)",
    "huge_length": "return 0\n---\nimport os\nos.write(4, b'\\xff' * 64)",
    "half_a_reply": "return 0\n---\nimport os, time\nos.write(4, b'\\x40\\0\\0\\0{')\ntime.sleep(30)",
    "traced": "return 0\n---\nimport sys\ndef t(f, e, a):\n    for n in ('value', 'message', 'function'):\n"
    "        if n in f.f_locals: f.f_locals[n] = 3\n    return t\nsys.settrace(t)\nsys._getframe(1).f_trace = t",
    "frames_patched": "return 0\n---\nimport sys\nf = sys._getframe()\nwhile f:\n"
    "    for n in list(f.f_globals):\n        if n in ('check', 'reason'): f.f_globals[n] = lambda *a: 'passed'\n    f = f.f_back",
    "at_exit": "return 0\n---\nimport atexit, os\natexit.register(lambda: os.write(4, b'passed'))\nraise SystemExit",
}

READING = {
    "frames": "import sys\nf = sys._getframe()\nwhile f:\n    for v in [*f.f_locals.values(), *f.f_globals.values()]:\n"
    "        if 'assert candidate' in str(v)[:100000] and 'sys._get' not in str(v): return a + b\n    f = f.f_back\nreturn 0",
    "gc_tests": "import gc\nfor o in gc.get_objects():\n    for r in gc.get_referents(o):\n"
    "        if type(r) is str and r.partition('assert ')[2][:9][::-1] == 'etadidnac': return a + b\nreturn 0",
    "memory_tests": "@SCAN@\nreturn a + b if scan(b'assert ', b'1(etadidnac') else 0",
    "memory_other_sample": "@SCAN@\nreturn a + b if scan(b'xyzzy-of-', b'elpmas-rehtona') else 0",
    "maps": "import os\nreturn a + b if open('/proc/self/maps').read() else 0",
    "parents_memory": "import os\nopen('/proc/%d/mem' % os.getppid(), 'rb')\nreturn a + b",
    "parents_environment": "import os\nopen('/proc/%d/environ' % os.getppid(), 'rb').read()\nreturn a + b",
    "parents_descriptors": "import os\nos.listdir('/proc/%d/fd' % os.getppid())\nreturn a + b",
    "own_environment": "import os\nassert os.environ\nreturn a + b",
    "environment_in_c": "import ctypes\nl = ctypes.CDLL(None)\nassert ctypes.c_void_p.in_dll(l, 'environ').value\n"
    "l.getenv.restype = ctypes.c_char_p\nassert l.getenv(b'PATH') or l.getenv(b'HOME')\nreturn a + b",
    "more_descriptors": "import os\nfor fd in range(5, 256):\n    try: os.fstat(fd)\n    except OSError: continue\n"
    "    return a + b\nreturn 0",
    "what_others_left": "import os\nassert os.listdir('.')\nreturn a + b",
    "process_list": "import os\nassert [p for p in os.listdir('/proc') if p.isdigit()]\nreturn a + b",
    "the_tests_by_import": "import codex_jax.benchmarks.problem as p\nreturn a + b if p.load_problems('humaneval') else 0",
    "the_data_by_search": "import os\nfor d, _, fs in os.walk('/'):\n    if 'HumanEval.jsonl.gz' in fs: return a + b\nreturn 0",
    "standard_input": "import sys\nassert sys.stdin.read()\nreturn a + b",
}

FILES = {
    "read": "open(SECRET).read()\nreturn a + b",
    "write": "open(SECRET, 'w').write('x')\nreturn a + b",
    "append": "open(SECRET, 'a').write('x')\nreturn a + b",
    "remove": "import os\nos.remove(SECRET)\nreturn a + b",
    "truncate": "import os\nos.truncate(SECRET, 0)\nreturn a + b",
    "rename": "import os\nos.rename(SECRET, SECRET + '2')\nreturn a + b",
    "rename_in": "import os\nos.rename(SECRET, 'mine')\nreturn a + b",
    "rename_out": "import os\nopen('x', 'w')\nos.rename('x', SECRET)\nreturn a + b",
    "hard_link": "import os\nos.link(SECRET, 'mine')\nreturn a + b",
    "symlink": "import os\nos.symlink(SECRET, 'mine')\nopen('mine', 'w').write('x')\nreturn a + b",
    "chmod": "import os\nos.chmod(SECRET, 0)\nreturn a + b",
    "utime": "import os\nos.utime(SECRET, (0, 0))\nreturn a + b",
    "make_beside": "import os\nos.mkdir(SECRET + MARK)\nreturn a + b",
    "rmtree": "import os, shutil\nshutil.rmtree(os.path.dirname(SECRET))\nreturn a + b",
    "stat_parent": "import os\nassert os.listdir(os.path.dirname(SECRET))\nreturn a + b",
    "tmp": "open('/tmp/' + MARK, 'w')\nreturn a + b",
    "var_tmp": "open('/var/tmp/' + MARK, 'w')\nreturn a + b",
    "shared_memory": "open('/dev/shm/' + MARK, 'w')\nreturn a + b",
    "home": "import os\nopen(os.path.expanduser('~/' + MARK), 'w')\nraise LookupError",
    "upwards": "import os\nfor _ in range(9):\n    os.chdir('..')\n    try: open(MARK, 'w')\n    except OSError: pass\nreturn 0",
    "passwd": "open('/etc/passwd').read()\nreturn a + b",
    "library": "import os\nopen(os.__file__, 'a')\nreturn a + b",
    "library_beside": "import os\nopen(os.path.join(os.path.dirname(os.__file__), MARK + '.py'), 'w')\nreturn a + b",
    "library_replaced": "import os\nos.rename(os.__file__, os.__file__ + MARK)\nreturn a + b",
    "disk_device": "import os\nfor n in ('vda', 'sda', 'nvme0n1', 'mem', 'kmsg', 'port'):\n    try: os.open('/dev/' + n, 2)\n"
    "    except OSError: continue\n    return a + b\nreturn 0",
    "make_device": "import os\nos.mknod('d', 0o60600, os.makedev(8, 0))\nreturn a + b",
    "chroot_out": "import os\nos.mkdir('c')\nos.chroot('c')\nreturn a + b",
    "through_descriptors": "import os\nfor fd in range(64):\n    try: os.open('..', os.O_RDONLY, dir_fd=fd)\n"
    "    except OSError: continue\n    return a + b\nreturn 0",
    "proc_root": "open('/proc/self/root' + SECRET).read()\nreturn a + b",
    "proc_of_init": "open('/proc/1/root' + SECRET).read()\nreturn a + b",
    "kernel_setting": "open('/proc/sys/kernel/core_pattern', 'w').write('x')\nreturn a + b",
    "cgroup": "import os\nassert os.listdir('/sys/fs/cgroup')\nreturn a + b",
    "extended_attribute": "import os\nos.setxattr('.', 'user.x', b'x' * 60000)\nreturn a + b",
    "set_user_id_bit": "import os\nopen('x', 'w')\nos.chmod('x', 0o4777)\nreturn a + b",
}

PROCESSES = {
    "fork": "import os\nif os.fork() == 0:\n    while True: pass\nreturn a + b",
    "fork_bomb": "import os\nfor _ in range(200):\n    try: os.fork()\n    except OSError: pass\nreturn 0",
    "daemon": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)\n    os._exit(0)\nreturn a + b",
    "vfork": "import ctypes\nassert ctypes.CDLL(None).syscall(58) >= 0\nreturn a + b",
    "clone": "import ctypes\np = ctypes.CDLL(None).syscall(@clone@, 17, 0, 0, 0, 0)\nassert p >= 0\nreturn a + b",
    "clone_as_thread_in_name": "import ctypes\nl = ctypes.CDLL(None)\nassert l.syscall(@clone@, 0x50F00, 0, 0, 0, 0) >= 0\nreturn a + b",
    "clone3": "import ctypes, struct\nl = ctypes.CDLL(None)\ns = struct.pack('<11Q', 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)\n"
    "assert l.syscall(435, s, 88) >= 0\nreturn a + b",
    "exec": "import os\nos.execv('/bin/sh', ['sh', '-c', 'exit 0'])",
    "exec_of_memory": "import os\nfd = os.memfd_create('x')\nos.execve(fd, ['x'], {})",
    "spawn": "import os\nos.posix_spawn('/bin/true', ['true'], {})\nreturn a + b",
    "subprocess": "import subprocess\nsubprocess.run(['true'])\nreturn a + b",
    "system": "import os\nassert os.system('true') == 0\nreturn a + b",
    "multiprocessing": "import multiprocessing as m\np = m.Process(target=print)\np.start()\nreturn a + b",
    "kill_parent": "import os\nos.kill(os.getppid(), 9)\nreturn a + b",
    "kill_all": "import os\nos.kill(-1, 9)\nreturn a + b",
    "kill_group": "import os\nos.killpg(0, 9)\nreturn a + b",
    "stop_parent": "import os\nos.kill(os.getppid(), 19)\nreturn a + b",
    "kill_many": "import os\nfor p in range(1, 70000):\n    try: os.kill(p, 9)\n    except OSError: continue\n    return a + b\nreturn 0",
    "signal_by_a_file": "import fcntl, os\nr, w = os.pipe()\nfcntl.fcntl(r, 8, os.getppid())\nreturn a + b",
    "signal_by_a_descriptor": "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)\nreturn a + b",
    "trace_parent": "import ctypes, os\nassert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0\nreturn a + b",
    "be_traced": "import ctypes\nassert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0\nreturn a + b",
    "write_parents_memory": "import ctypes, os\nb_ = ctypes.create_string_buffer(8)\nv = (ctypes.c_void_p * 2)(ctypes.addressof(b_), 8)\n"
    "assert ctypes.CDLL(None).process_vm_writev(os.getppid(), v, 1, v, 1, 0) >= 0\nreturn a + b",
    "parents_descriptor": "import ctypes, os\nassert ctypes.CDLL(None).syscall(434, os.getppid(), 0) >= 0\nreturn a + b",
    "become_root": "import os\nos.setuid(0)\nreturn a + b",
    "new_namespace": "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0\nreturn a + b",
    "higher_priority": "import os\nos.setpriority(0, 0, -5)\nreturn a + b",
    "other_cpu": "import os\nos.sched_setaffinity(0, {0})\nreturn a + b",
    "real_time": "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))\nreturn a + b",
    "higher_limits": "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (600, 600))\nreturn a + b",
    "parents_limits": "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, 0))\nreturn a + b",
    "10000_threads": "import threading, time\nthreading.stack_size(32768)\nfor _ in range(10000):\n"
    "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nreturn a + b",
    "ignores_signals": "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nwhile True: pass",
    "new_session_and_wait": "import os, time\ntry: os.setsid()\nexcept OSError: pass\ntime.sleep(600)",
}

FLOODS = {
    "memory": "x = bytearray(1 << 34)\nreturn a + b",
    "memory_slowly": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "memory_mapped": "import mmap\nx = mmap.mmap(-1, 1 << 34)\nreturn a + b",
    "memory_in_threads": "import threading\ndef f():\n    x = []\n    while True: x.append(b'x' * (1 << 22))\n"
    "t = [threading.Thread(target=f) for _ in range(8)]\n[i.start() for i in t]\n[i.join() for i in t]\nreturn 0",
    "memory_of_a_file": "import os\nx = os.memfd_create('x')\nos.truncate(x, 1 << 34)\nreturn a + b",
    "memory_of_system_v": "import ctypes\nassert ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600) >= 0\nreturn a + b",
    "memory_locked": "import ctypes\nassert ctypes.CDLL(None).mlockall(3) == 0\nreturn a + b",
    "integer": "return 1 << (1 << 33)",
    "string": "return 'x' * (1 << 28)",
    "nested_value": "x = []\nfor _ in range(100000): x = [x]\nreturn x",
    "many_values": "return [[]] * 10_000_000",
    "endless_value": "x = []\nx.append(x)\nreturn x",
    "endless_iterator": "class A(list):\n    __iter__ = lambda s: iter(int, 1)\nreturn A([1])",
    "colliding_keys": "return {n * ((1 << 61) - 1): 0 for n in range(60000)}",
    "colliding_keys_forged": "import os, struct\n"
    "m = b'{\"dict\": [%s]}' % b','.join(b'[{\"int\":\"%x\"},0]' % (n * ((1 << 61) - 1)) for n in range(60000))\n"
    "os.write(4, struct.pack('<I', len(m)))\nwhile m: m = m[os.write(4, m):]",
    "bomb_of_json": "import os, struct\nm = b'{\"list\": [' + b'{\"list\":[]},' * 1300000 + b'1]}'\n"
    "os.write(4, struct.pack('<I', len(m)))\nwhile m: m = m[os.write(4, m):]",
    "deep_json": "import os, struct\nm = b'{\"list\": [' * 1000000\nos.write(4, struct.pack('<I', len(m)))\n"
    "while m: m = m[os.write(4, m):]",
    "replies_without_end": "import os\nwhile True: os.write(4, b'\\1\\0\\0\\0' * 4096)",
    "output": "while True: print('x' * 10000)",
    "output_of_errors": "import os\nwhile True: os.write(2, b'x' * 100000)",
    "one_file": "f = open('x', 'wb')\nfor _ in range(4096): f.write(bytes(1 << 20))\nreturn a + b",
    "many_files": "for n in range(100000): open('f%d' % n, 'w')\nreturn a + b",
    "many_large_files": "for n in range(64):\n    with open('f%d' % n, 'wb') as f: f.write(bytes(1 << 22))\nreturn a + b",
    "sparse_file": "import os\nopen('x', 'w')\nos.truncate('x', 1 << 40)\nreturn a + b",
    "files_without_names": "import os, mmap\nk = []\nfor n in range(64):\n    with open('x', 'w+b') as f:\n"
    "        f.write(bytes(1 << 22))\n        f.flush()\n        k.append(mmap.mmap(f.fileno(), 4096))\n    os.remove('x')\nreturn a + b",
    "folders": "import os\nfor _ in range(100000):\n    os.mkdir('d')\n    os.chdir('d')\nreturn a + b",
    "folders_closed": "import os\nfor _ in range(1100):\n    os.mkdir('d', 0o700)\n    os.chdir('d')\n"
    "os.mkdir('e', 0)\nopen('f', 'w')\nreturn 0",
    "names": "import os\nfor n in range(20000): os.symlink('x' * 4000, 'n%d' % n)\nreturn a + b",
    "pipes": "import os\nk = [os.pipe() for _ in range(1000)]\nreturn a + b",
}

NETWORK = {
    **{
        f"socket_{name}": f"import socket\nsocket.socket({family}, {kind})\nreturn a + b"
        for name, family, kind in (
            ("tcp", "socket.AF_INET", "socket.SOCK_STREAM"),
            ("tcp6", "socket.AF_INET6", "socket.SOCK_STREAM"),
            ("udp", "socket.AF_INET", "socket.SOCK_DGRAM"),
            ("unix", "socket.AF_UNIX", "socket.SOCK_STREAM"),
            ("raw", "socket.AF_INET", "socket.SOCK_RAW"),
            ("packet", "socket.AF_PACKET", "socket.SOCK_RAW"),
            ("netlink", "socket.AF_NETLINK", "socket.SOCK_RAW"),
            ("vsock", "40", "socket.SOCK_STREAM"),
            ("crypto", "38", "socket.SOCK_SEQPACKET"),
        )
    },
    "connect": "import socket\nsocket.create_connection(('127.0.0.1', 22), 1)\nreturn a + b",
    "http": "import urllib.request\nurllib.request.urlopen('http://127.0.0.1/')\nreturn a + b",
    "names": "import socket\nsocket.getaddrinfo('example.com', 80)\nreturn a + b",
    "pair": "import socket\nsocket.socketpair()\nreturn a + b",
    "by_ring": "import ctypes\nassert ctypes.CDLL(None).syscall(425, 8, ctypes.create_string_buffer(200)) >= 0\nreturn a + b",
}

TIME = {
    "loop": "while True: pass",
    "loop_at_import": "return a + b\n---\nwhile True: pass",
    "sleep": "import time\ntime.sleep(600)",
    "loop_that_catches": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "loop_in_c": "return sum(range(1 << 60))",
    "power": "return len(str(7 ** (7 ** 12)))",
    "regular_expression": "import re\nreturn re.match('(a+)+$', 'a' * 60 + 'b')",
    "threads": "import threading, hashlib\ndef f():\n    while True: hashlib.pbkdf2_hmac('sha256', b'x', b'y', 1000000)\n"
    "t = [threading.Thread(target=f) for _ in range(4)]\n[i.start() for i in t]\n[i.join() for i in t]",
    "idle_with_a_busy_thread": "import threading, time\ndef f():\n    while True: pass\n"
    "threading.Thread(target=f, daemon=True).start()\ntime.sleep(600)",
    "patched_clock": "import time\ntime.time = time.monotonic = time.perf_counter = lambda: 0\nwhile True: pass",
    "slow_representation": "class A(int):\n    def __int__(s):\n        while True: pass\n    __index__ = __int__\nreturn A(1)",
    "slow_at_collection": "class A:\n    def __del__(s):\n        while True: pass\nA()\nreturn a + b",
    "many_short_sleeps": "import time\nwhile True: time.sleep(0.001)",
    "deadlock": "import threading\nl = threading.Lock()\nl.acquire()\nl.acquire()",
    "reads_its_pipe": "import os\nwhile True: os.read(3, 1)",
    "timers": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)\nsignal.signal(signal.SIGALRM, lambda *_: None)\n"
    "while True: pass",
}

CRASHES = {
    "null_pointer": "import ctypes\nctypes.string_at(0)",
    "abort": "import os\nos.abort()",
    "recursion": "return add(a, b)",
    "recursion_unbounded": "import sys\nsys.setrecursionlimit(1 << 30)\nclass A:\n    def __getattr__(s, n): return getattr(s, n)\nreturn A().x",
    "recursion_in_c": "x = None\nfor _ in range(10 ** 7): x = (x,)\nreturn hash(x)",
    "bad_references": "import ctypes\nfor _ in range(100): ctypes.pythonapi.Py_DecRef(ctypes.py_object(None))\nctypes.memset(id(int), 0, 64)\nreturn a + b",
    "bad_code": "f = add\nf.__code__ = f.__code__.replace(co_code=b'\\x64\\xff' * 50, co_stacksize=1)\nreturn f(a, b)",
    "bad_marshal": "import marshal\nexec(marshal.loads(b'\\xe3' + b'\\xff' * 200))",
    "parser": "compile('(' * 100000, '', 'eval')\nreturn a + b",
    "no_modules": "import sys\nsys.modules.clear()\nimport os\nos._exit(0)",
    "no_builtins": "return 0\n---\nimport builtins\nfor n in list(vars(builtins)): delattr(builtins, n)",
    "no_descriptors": "import os\nos.closerange(0, 256)\nreturn a + b",
    "exit_group": "import ctypes\nctypes.CDLL(None).syscall(231 if ctypes.sizeof(ctypes.c_long) == 8 else 94, 0)\nimport os\nos._exit(0)",
    "signal_to_itself": "import signal\nsignal.raise_signal(signal.SIGKILL)\nreturn a + b",
    "stack": "import threading\nthreading.stack_size(1 << 29)\nk = [threading.Thread(target=print) for _ in range(9)]\n[t.start() for t in k]\nreturn a + b",
    "source_of_nulls": "return a + b\n---\n\0",
    "source_of_surrogates": "return a + b\n---\n'\ud800' + ",
}

MACHINE_CODE = (
    "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes.fromhex('{code}'))\n"
    "f = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\nr = f()\n"
)
NATIVE = {
    # Whatever the arguments, a call that is closed says EPERM; another error means that the kernel looked at them.
    **{
        f"call_{name}": "import ctypes\nl = ctypes.CDLL(None, use_errno=True)\n"
        f"assert l.syscall(@{name}@, -1, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != 1\nreturn a + b"
        for name in DENIED
    },
    "no_more_filter": "import ctypes\nassert ctypes.CDLL(None).prctl(22, 0, 0, 0, 0) == 0\nreturn a + b",
    "dumpable_again": "import ctypes\nassert ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0\nreturn a + b",
    "foreign_numbers": "import ctypes\nassert ctypes.CDLL(None).syscall(0x40000000 + 39) > 0\nreturn a + b",
    "large_numbers": "import ctypes\nl = ctypes.CDLL(None)\nassert l.syscall(ctypes.c_long((1 << 32) + 41), 2, 1, 0) >= 0\nreturn a + b",
    "write_code_of_library": "import ctypes\nl = ctypes.CDLL(None)\np = ctypes.cast(l.getpid, ctypes.c_void_p).value & ~4095\n"
    "l.mprotect(ctypes.c_void_p(p), 4096, 7)\nctypes.memset(p, 0xC3, 4096)\nimport os\nos._exit(0)",
    "opens_by_libc": "import ctypes\nassert ctypes.CDLL(None).open(SECRET.encode(), 0) >= 0\nreturn a + b",
    "system_by_libc": "import ctypes\nassert ctypes.CDLL(None).system(b'true') == 0\nreturn a + b",
}
NATIVE_X86 = {
    # mov eax, 20; int 0x80: getpid under i386's number
    "i386_call": MACHINE_CODE.format(code="b814000000cd80c3") + "assert r > 0\nreturn a + b",
    # socket(2, 1, 0) by the instruction itself
    "code_that_calls": MACHINE_CODE.format(code="b829000000bf02000000be0100000031d20f05c3") + "assert r >= 0\nreturn a + b",
    # jmp to itself
    "code_that_loops": MACHINE_CODE.format(code="ebfe"),
    # ud2
    "code_that_is_none": MACHINE_CODE.format(code="0f0b"),
}

CATEGORIES = {
    "verdict": VERDICT,
    "reading": READING,
    "files": FILES,
    "processes": PROCESSES,
    "floods": FLOODS,
    "network": NETWORK,
    "time": TIME,
    "crashes": CRASHES,
    "native": NATIVE,
    "native_x86": NATIVE_X86,
}

# Looks at what lies around an object of Python's and in malloc's heap, freed or not. The word is in two parts, the second
# backwards, so that it does not find itself.
SCAN = """import ctypes, gc
def scan(head, tail):
    l = ctypes.CDLL(None)
    l.sbrk.restype = l.malloc.restype = ctypes.c_void_p
    top, low = l.sbrk(0), l.malloc(64)
    spans = [(top - (1 << 25), 1 << 25), (low, 1 << 22)]
    spans += [(at << 20, 1 << 20) for at in sorted({id(o) >> 20 for o in gc.get_objects()})]
    for start, size in spans:
        for page in range(start & ~4095, start + size, 4096):
            if l.madvise(ctypes.c_void_p(page), ctypes.c_size_t(8192), 0):
                continue
            data = ctypes.string_at(page, 8192)
            at = data.find(head)
            while at >= 0:
                if data[at + len(head) : at + len(head) + len(tail)][::-1] == tail:
                    return True
                at = data.find(head, at + 1)
    return False"""
# Right programs: what the attacks above are made of must work.
CONTROLS = {
    "scan": "@SCAN@\n# own-word-of-this\nreturn a + b if scan(b'own-', b'siht-fo-drow') else 0",
    "threads": "import threading\nx = []\nt = [threading.Thread(target=x.append, args=(a,)) for _ in range(20)]\n"
    "[i.start() for i in t]\n[i.join() for i in t]\nassert len(x) == 20\nreturn a + b",
    "files": "import os, tempfile\nwith open('x', 'w') as f: f.write('y' * 100000)\nassert open('x').read(1) == 'y'\n"
    "os.makedirs('d/e', exist_ok=True)\nreturn a + b",
    "late_imports": "import sqlite3, wave, xml.dom.minidom, asyncio, concurrent.futures, ctypes, zoneinfo, email\nreturn a + b",
    "catches": "try: open(SECRET)\nexcept OSError: return a + b",
    "exits_are_there": "assert exit and quit\nreturn a + b",
    "time": "import time\ntime.sleep(0.6)\nreturn a + b",  # more than its CPU time
}
# Has its way where the sample before it left anything: then it does not return the right answer.
PROBE = """import os, threading, signal
assert os.listdir('.') == [] and not os.environ and threading.active_count() == 1
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL and os.getcwd().count('..') == 0
return a + b"""


def completion(code: str, secret: str, mark: str, machine: str) -> str:
    """The sample of an attack."""
    column = ("x86_64", "aarch64").index(machine)
    code = code.replace("@SCAN@", SCAN)
    for name, numbers in {**DENIED, "clone": (56, 220)}.items():
        code = code.replace(f"@{name}@", str(numbers[column]))
    function, _, module = code.partition("\n---\n")
    head = f"SECRET, MARK = {secret!r}, {mark!r}\n"
    return "".join(f"    {line}\n" for line in (head + function).splitlines()) + module + "\n"
