"""Only cnncli/system knows the platform: read from the syntax trees."""

from __future__ import annotations

import ast

from tests.support.sources import syntax_trees

NAMES = {
    # Modules that only some systems have.
    *("fcntl", "grp", "msvcrt", "posix", "pty", "pwd", "resource", "termios", "winreg"),
    # Functions, flags and arguments.
    *("CDLL", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_TMPFILE", "fork"),
    *("dir_fd", "epoll", "fchmod", "fchown", "forkpty", "geteuid", "getuid", "killpg", "kqueue"),
    *("mkfifo", "poll", "posix_spawn", "pread", "pthread_kill", "pthread_sigmask", "pwrite"),
    *("register_at_fork", "set_blocking", "set_wakeup_fd", "setitimer", "src_dir_fd", "uname"),
    *("CREATE_NEW_PROCESS_GROUP", "wait3", "wait4", "waitpid"),
}
BEGINNINGS = ("RLIMIT_", "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "sched_")
BEGINNINGS_OF_TEXTS = (*BEGINNINGS, "/dev/", "/proc/", "/sys/")


def platform_names(file: str) -> set[str]:
    """Return what a module names that only some systems have."""
    names: set[str] = set()
    for node in ast.walk(syntax_trees()[file]):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.name for alias in node.names}
            names |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.keyword):
            names.add(node.arg or "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return {n for n in names if n in NAMES or n.startswith(BEGINNINGS_OF_TEXTS)}


def test_only_the_package_system_knows_the_platform() -> None:
    others = [file for file in syntax_trees() if not file.startswith("system/")]
    found = {file: platform_names(file) for file in others}
    assert others and {file: names for file, names in found.items() if names} == {}


def test_the_names_are_found_where_they_are() -> None:
    files = platform_names("system/files.py") | platform_names("system/processes.py")
    assert {"O_TMPFILE", "src_dir_fd", "/dev/stdout", "fork", "waitpid", "SIGKILL"} <= files
    assert {"resource", "CDLL", "/proc/meminfo"} <= platform_names("system/memory.py")


def test_nobody_asks_for_the_name_of_the_platform() -> None:
    """What counts is what the interpreter has."""
    asked = {
        (file, f"{node.value.id}.{node.attr}")
        for file, tree in syntax_trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    names = {"sys.platform", "os.name", "platform.system"}
    assert asked and [(file, name) for file, name in asked if name in names] == []
