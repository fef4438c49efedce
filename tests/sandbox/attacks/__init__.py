"""Programs that try to break out of the sandbox, by category. Each is the body of a function that should return a + b.

Each category is a text file. It holds "## NAME" lines, each followed by the body of the function and, after a line
"---", code of the module below the function. An attack that succeeds returns the right answer, so a pass means that the
attack worked. SECRET is a file that file permissions let anyone read, write and remove. MARK is a name that must appear
nowhere outside the program's own folder. @NAME@ stands for the number of a system call, @SCAN@ for the text of
scan.txt, and @SEND@ for a function that sends a forged message. The programs in control.txt are not attacks and must
pass.
"""

import re
from pathlib import Path

from tests.sandbox.denied import DENIED

HERE = Path(__file__).parent
TOKEN = "xyzzy-of-another-sample"
NUMBERS = {**DENIED, "clone": (56, 220), "exit_group": (231, 94), "exit": (60, 93)}

# name: (family, kind)
SOCKETS = {
    "tcp": ("socket.AF_INET", "socket.SOCK_STREAM"),
    "tcp6": ("socket.AF_INET6", "socket.SOCK_STREAM"),
    "udp": ("socket.AF_INET", "socket.SOCK_DGRAM"),
    "unix": ("socket.AF_UNIX", "socket.SOCK_STREAM"),
    "raw": ("socket.AF_INET", "socket.SOCK_RAW"),
    "packet": ("socket.AF_PACKET", "socket.SOCK_RAW"),
    "netlink": ("socket.AF_NETLINK", "socket.SOCK_RAW"),
    "vsock": ("40", "socket.SOCK_STREAM"),
    "crypto": ("38", "socket.SOCK_SEQPACKET"),
}
# A denied call fails with EPERM whatever its arguments. Any other error means that the kernel looked at them.
CALL = """import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.syscall(@{name}@, -1, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != 1
return a + b"""
MACHINE_CODE = """import ctypes, mmap
memory = mmap.mmap(-1, 4096, prot=7)
memory.write(bytes.fromhex('{code}'))
assert ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))() > 0
return a + b"""
SEND = """import json, os, struct
def send(*message):
    data = json.dumps(message).encode()
    data = struct.pack('<I', len(data)) + data
    while data: data = data[os.write(4, data):]"""
X86 = {
    "getpid_as_on_i386": "b814000000 cd80 c3",  # mov eax, 20; int 0x80; ret
    "socket_by_instruction": "b829000000 bf02000000 be01000000 31d2 0f05 c3",
    "loop": "ebfe",  # a jump to itself
    "no_instruction": "0f0b",
}


def read(name: str) -> dict[str, str]:
    """The programs of a file, by name."""
    parts = re.split(r"^## (\w+)\n", (HERE / f"{name}.txt").read_text(), flags=re.MULTILINE)
    return {title: code.strip("\n") for title, code in zip(parts[1::2], parts[2::2], strict=True)}


NAMES = ("verdict", "reading", "files", "processes", "floods", "network", "time", "crashes", "native")
CATEGORIES = {name: read(name) for name in NAMES}
CATEGORIES["network"] |= {
    f"socket_{name}": f"import socket\nfamily, kind = {family}, {kind}\nsocket.socket(family, kind)\nreturn a + b"
    for name, (family, kind) in SOCKETS.items()
}
CATEGORIES["crashes"] |= {
    "source_of_nulls": "return a + b\n---\n\0",
    "source_of_surrogates": "return a + b\n---\n'\ud800' + ",
}
CATEGORIES["native"] |= {f"call_{name}": CALL.format(name=name) for name in DENIED}
CATEGORIES["native_x86"] = {name: MACHINE_CODE.format(code=code) for name, code in X86.items()}
CONTROLS = read("control")
# Passes unless the program before it left anything.
PROBE = """import fcntl, os, threading, signal
assert {fcntl.fcntl(fd, fcntl.F_GETFL) & ~0o100000 for fd in (0, 1, 2)} == {os.O_RDWR}
assert [fcntl.fcntl(fd, fcntl.F_GETFL) & ~0o100000 for fd in (3, 4)] == [os.O_RDONLY, os.O_WRONLY]
assert os.umask(0o22) == 0o22
assert os.listdir('.') == [] and set(os.environ) == {'PATH', 'HOME', 'USER', 'LOGNAME'}
assert threading.active_count() == 1
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
return a + b"""


def completion(code: str, secret: str, mark: str, machine: str) -> str:
    """An attack's program without its first line, def add(a, b)."""
    column = ("x86_64", "aarch64").index(machine)
    code = code.replace("@SCAN@", (HERE / "scan.txt").read_text()).replace("@SEND@", SEND)
    for name, numbers in NUMBERS.items():
        code = code.replace(f"@{name}@", str(numbers[column]))
    function, _, module = code.partition("\n---\n")
    head = f"SECRET, MARK = {secret!r}, {mark!r}\n"
    return "".join(f"    {line}\n" for line in (head + function).splitlines()) + module + "\n"
