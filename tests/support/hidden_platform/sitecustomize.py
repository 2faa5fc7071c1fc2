"""Hides from cnncli what only Linux and POSIX have: first on PYTHONPATH, as Python starts."""

from __future__ import annotations

import builtins
import types
from typing import Any

MODULES = {"fcntl", "grp", "pwd", "resource", "termios"}
NAMES = {
    "os": {
        *("O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_TMPFILE", "fchmod", "fork"),
        *("getuid", "kill", "mkfifo", "pread", "register_at_fork", "sched_getaffinity"),
        *("sched_setaffinity", "uname", "waitpid"),
    },
    "signal": {"SIGCHLD", "SIGHUP", "SIGKILL", "pthread_sigmask", "pthread_kill", "setitimer"},
    "select": {"epoll", "poll"},
}

import_all = builtins.__import__


class HalfModule(types.ModuleType):
    """A module without some of its names."""

    def __init__(self, module: types.ModuleType) -> None:
        super().__init__(module.__name__)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name in NAMES[self.__name__]:
            raise AttributeError(name)
        return getattr(self._module, name)


def import_what_all_have(name: str, globals: Any = None, *rest: Any, **named: Any) -> Any:
    """Import for cnncli what every system has, and for others all there is."""
    module = import_all(name, globals, *rest, **named)
    if not (globals or {}).get("__name__", "").startswith(("cnncli.", "__main__")):
        return module
    if name in MODULES:
        raise ImportError(name)
    return HalfModule(module) if name in NAMES else module


if __name__ == "sitecustomize":  # and not where tests are collected
    builtins.__import__ = import_what_all_have
