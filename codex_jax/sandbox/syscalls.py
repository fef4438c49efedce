"""The system calls that a program may make: what Python, its threads and files in its scratch folder need."""

# name: (x86_64, aarch64); None where a machine has no such call.
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "pipe": (22, None),
    "select": (23, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "msync": (26, 227),
    "mincore": (27, 232),
    "madvise": (28, 233),
    "dup": (32, 23),
    "dup2": (33, None),
    "pause": (34, None),
    "nanosleep": (35, 101),
    "getitimer": (36, 102),
    "alarm": (37, None),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "sendfile": (40, 71),
    "exit": (60, 93),
    "recvfrom": (45, 207),
    "shutdown": (48, 210),
    "wait4": (61, 260),
    "uname": (63, 160),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "getdents": (78, None),
    "getcwd": (79, 17),
    "chdir": (80, 49),
    "fchdir": (81, 50),
    "rename": (82, None),
    "mkdir": (83, None),
    "rmdir": (84, None),
    "unlink": (87, None),
    "symlink": (88, None),
    "readlink": (89, None),
    "umask": (95, 166),
    "gettimeofday": (96, 169),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "getppid": (110, 173),
    "getpgrp": (111, None),
    "getgroups": (115, 158),
    "getresuid": (118, 148),
    "getresgid": (120, 150),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137),
    "rt_sigsuspend": (130, 133),
    "sigaltstack": (131, 132),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "getpriority": (140, 141),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "getdents64": (217, 61),
    "set_tid_address": (218, 96),
    "restart_syscall": (219, 128),
    "fadvise64": (221, 223),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "epoll_wait": (232, None),
    "epoll_ctl": (233, 21),
    "waitid": (247, 95),
    "mkdirat": (258, 34),
    "newfstatat": (262, 79),
    "unlinkat": (263, 35),
    "renameat": (264, 38),
    "symlinkat": (266, 36),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "pselect6": (270, 72),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "epoll_pwait": (281, 22),
    "eventfd2": (290, 19),
    "epoll_create1": (291, 20),
    "dup3": (292, 24),
    "pipe2": (293, 59),
    "preadv": (295, 69),
    "pwritev": (296, 70),
    "getcpu": (309, 168),
    "renameat2": (316, 276),
    "getrandom": (318, 278),
    "copy_file_range": (326, 285),
    "statx": (332, 291),
    "rseq": (334, 293),
    "close_range": (436, 436),
    "faccessat2": (439, 439),
}

# Threads of the C libraries, by all that they share: glibc's, and musl's with a flag that means nothing any more. Any
# other clone would be a process.
THREADS = (0x3D0F00, 0x7D0F00)
NO_NAME = 0x400000  # O_TMPFILE: a file without a name cannot be counted
DUPLICATE, DESCRIPTOR_FLAGS, FILE_FLAGS, LOCKS, DUPLICATE_CLOEXEC = (0,), (1, 2), (3, 4), (5, 6, 7, 36, 37, 38), (1030,)
# A pair of streams reaches nothing but its own two ends: nothing else can be bound or connected, nor descriptors sent.
UNIX, STREAM = (1,), tuple(1 | nonblock | cloexec for nonblock in (0, 1 << 11) for cloexec in (0, 1 << 19))
TERMINAL, READABLE_BYTES, NONBLOCKING, CLOEXEC = (0x5401, 0x5413), (0x541B,), (0x5421,), (0x5450, 0x5451)
THREAD_NAME = (15, 16)

# name: (numbers, checks), all of which must hold. A check is (argument, "in", values of its low 32 bits), or "high" for
# the others, or (argument, "clear", a mask).
ArgumentRule = tuple[int, str, tuple[int, ...]]
Checked = tuple[tuple[int | None, int | None], tuple[ArgumentRule, ...]]
CHECKED: dict[str, Checked] = {
    "clone": ((56, 220), ((0, "in", THREADS),)),
    "open": ((2, None), ((1, "clear", (NO_NAME,)),)),
    "openat": ((257, 56), ((2, "clear", (NO_NAME,)),)),
    # Not those that send a signal to another process when a file is ready, nor larger pipes.
    "fcntl": ((72, 25), ((1, "in", DUPLICATE + DESCRIPTOR_FLAGS + FILE_FLAGS + LOCKS + DUPLICATE_CLOEXEC),)),
    "ioctl": ((16, 29), ((1, "in", TERMINAL + READABLE_BYTES + NONBLOCKING + CLOEXEC),)),
    "prctl": ((157, 167), ((0, "in", THREAD_NAME),)),
    "socketpair": ((53, 199), ((0, "in", UNIX), (1, "in", STREAM), (2, "in", (0,)))),
    "sendto": ((44, 206), ((4, "in", (0,)), (4, "high", (0,)))),  # to no address
    # Only to read limits, and its own: the new ones are a null pointer, in two halves.
    "prlimit64": ((302, 261), ((0, "in", (0,)), (2, "in", (0,)), (2, "high", (0,)))),
}

# C libraries try these first and take ENOSYS for an answer; their arguments are in memory, where no filter looks.
UNKNOWN = {"clone3": (435, 435), "openat2": (437, 437)}

# Where a folder's size is counted, a file that has left it is found among the program's descriptors, but would not be
# where it is mapped: only memory is. -1 stands for no file.
NO_MAPS: dict[str, Checked] = {"mmap": (ALLOWED["mmap"], ((4, "in", (0xFFFFFFFF,)),))}
# Where a program's descriptors cannot be looked at, no file may leave its folder.
LEAVING = frozenset(("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"))
# By a path; Landlock's first two versions do not know of it.
CUTTING = frozenset(("truncate",))
