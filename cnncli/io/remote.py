"""Reads, writes and lists remote files through fsspec, with limits and errors of one line.

The filesystems run in an event loop of the thread that asks, and start no threads: fsspec's own
loop would run in one, and a process that has threads is not to be forked.
"""

from __future__ import annotations

import asyncio
import atexit
import io
import logging
import mimetypes
import os
import re
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import field
from http import HTTPStatus
from importlib import import_module
from typing import Any, BinaryIO, Final, TypeVar
from urllib.parse import urljoin

from cnncli._dataclass import dataclass
from cnncli._version import __version__
from cnncli.errors import CnnCliError, FileProblem, OptionError, one_line, printable, quote
from cnncli.io.atomic import exists_problem
from cnncli.io.limits import check_input_bytes
from cnncli.io.urls import Url, parse_url

CONNECT_SECONDS: Final = 10
"""How long a server may take to accept a connection."""

READ_SECONDS: Final = 30
"""How long it may then be silent."""

ANSWER_SECONDS: Final = 60
"""How long a question about an object may take, with all repeats."""

LIST_SECONDS: Final = 600
"""How long the names in a folder may take."""

MAX_REDIRECTS: Final = 5

_CHUNK = 2**18
_TAKEN = (HTTPStatus.PRECONDITION_FAILED, str(HTTPStatus.PRECONDITION_FAILED.value))
_NO_STORE = "https:// has no folders and wildcards"
T = TypeVar("T")


def read_url(url: Url, max_bytes: int) -> bytes:
    """Read a remote file into memory.

    Parameters
    ----------
    url : Url
    max_bytes : int
        Of a longer file no more than this is ever held, whatever its server says of its length.

    Returns
    -------
    bytes

    Raises
    ------
    FileProblem
        If it cannot be read, is longer, or leads to an address that is not taken.
    """
    if url.is_folder:
        raise _not_a_file(url)
    read = _read_object if url.is_store else _read_http
    data: bytes = _ask(url, lambda system: read(system, url, max_bytes), "read")
    return data


@contextmanager
def open_url(url: Url, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open an object to write: it is sent, whole, when the ``with`` block ends.

    Parameters
    ----------
    url : Url
    overwrite : bool
        Whether an object of that name may be replaced.

    Yields
    ------
    binary stream
        In memory.

    Raises
    ------
    FileProblem
        If it cannot be written or exists.
    """
    stream = io.BytesIO()
    yield stream
    content = stream.getvalue()
    kind = mimetypes.guess_type(url.name)[0] or "application/octet-stream"
    options = {"s3": {"ContentType": kind}, "gs": {"content_type": kind}}[url.scheme]
    mode = "overwrite" if overwrite else "create"

    async def put(system: Any) -> None:
        try:
            await system._pipe_file(url.path, content, mode=mode, **options)
        except Exception as error:
            if isinstance(error, FileExistsError) or getattr(error, "code", None) in _TAKEN:
                raise exists_problem(url) from None
            raise

    _ask(url, put, "written")


def object_exists(url: Url) -> bool:
    """Tell whether there is an object of that name.

    Raises
    ------
    FileProblem
        If nobody can tell.
    """

    async def is_file(system: Any) -> bool:
        try:
            entry = await asyncio.wait_for(system._info(url.path), ANSWER_SECONDS)
        except FileNotFoundError:
            return False
        return bool(entry["type"] == "file")

    return _ask(url, is_file, "looked up")


def folder_entries(url: Url) -> tuple[list[str], list[str]]:
    """Return the names of the files and of the sub-folders in a folder of an object store.

    Parameters
    ----------
    url : Url

    Returns
    -------
    tuple of (list of str, list of str)
        Sorted.

    Raises
    ------
    FileProblem
        If it cannot be listed, or nothing begins with its name.
    OptionError
        For ``https://``, which has no folders.
    """
    if not url.is_store:
        raise OptionError(f"{_NO_STORE}", hint="name each image, or list them in a file", path=url)

    async def entries(system: Any) -> tuple[list[str], list[str]]:
        infos = await asyncio.wait_for(system._ls(url.path, detail=True), LIST_SECONDS)
        own = [(entry["name"].rpartition("/")[2], entry["type"]) for entry in infos]
        # An object that stands for its folder has no name of its own.
        files = sorted(name for name, kind in own if kind == "file" and name)
        return files, sorted(name for name, kind in own if kind == "directory" and name)

    return _ask(url, entries, "listed")


async def _read_object(system: Any, url: Url, max_bytes: int) -> bytes:
    info = await asyncio.wait_for(system._info(url.path), ANSWER_SECONDS)
    if info["type"] != "file":
        raise _not_a_file(url)
    check_input_bytes(info["size"], max_bytes, url)
    if not info["size"]:
        return b""  # of which no range can be asked
    data: bytes = await system._cat_file(url.path, start=0, end=max_bytes + 1)
    check_input_bytes(len(data), max_bytes, url)
    return data


async def _read_http(system: Any, url: Url, max_bytes: int) -> bytes:
    """Read with one repeat if the connection is lost."""
    aiohttp = import_module("aiohttp")
    try:
        return await _get(system, url, max_bytes)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientOSError):
        return await _get(system, url, max_bytes)


async def _get(system: Any, url: Url, max_bytes: int) -> bytes:
    session = await system.set_session()
    for _ in range(MAX_REDIRECTS + 1):
        async with session.get(url.text, allow_redirects=False) as answer:
            if answer.status in (301, 302, 303, 307, 308):
                url = _redirected(url, answer.headers.get("Location", ""))
                continue
            if answer.status != HTTPStatus.OK:
                raise FileProblem(f"cannot be read: {_status(answer.status)}", path=url)
            check_input_bytes(answer.content_length or 0, max_bytes, url)
            gathered = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                gathered += chunk
                check_input_bytes(len(gathered), max_bytes, url)
            return bytes(gathered)
    raise FileProblem(f"redirects more than {MAX_REDIRECTS} times", path=url)


def _redirected(url: Url, address: str) -> Url:
    try:
        target = parse_url(urljoin(url.text, address))
    except (OptionError, ValueError) as error:
        raise FileProblem(
            f"redirects to an address that is not allowed: {error}", path=url
        ) from None
    if target.is_store or (url.scheme, target.scheme) == ("https", "http"):
        text = f"redirects to an address that is not allowed: {quote(target)}"
        raise FileProblem(text, path=url)
    return target


def _status(status: int) -> str:
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return f"not found (HTTP {status})"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"access denied (HTTP {status})"
    try:
        return f"the server answers HTTP {status}, {HTTPStatus(status).phrase.lower()}"
    except ValueError:
        return f"the server answers HTTP {status}"


def _not_a_file(url: Url) -> FileProblem:
    hint = f"{printable(str(url).rstrip('/'))}/ for its images" if url.is_store else None
    return FileProblem("is a folder", hint=hint, path=url)


class _NoThreads(ThreadPoolExecutor):
    """What the event loop looks up names of hosts with: at once, as nothing else is waiting."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Do it now."""
        future = Future[T]()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_NoThreads())
    return loop


@dataclass
class _Session:
    """An event loop with the filesystems whose connections live in it."""

    runner: asyncio.Runner = field(default_factory=lambda: asyncio.Runner(loop_factory=_new_loop))
    systems: dict[str, Any] = field(default_factory=dict)
    process: int = field(default_factory=os.getpid)

    def run(self, url: Url, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Do some work with the filesystem of an address."""

        async def begin() -> T:
            # Made within the loop, which some of them look up when they begin.
            if url.scheme not in self.systems:
                self.systems[url.scheme] = _filesystem(url)
            return await work(self.systems[url.scheme])

        return self.runner.run(begin())

    def close(self) -> None:
        """End all connections."""
        self.runner.run(self._leave())
        self.runner.close()

    async def _leave(self) -> None:
        for system in self.systems.values():
            if getattr(system, "_s3creator", None) is not None:
                await system._s3creator.__aexit__(None, None, None)
            elif getattr(system, "_session", None) is not None:
                await system._session.close()
        self.systems.clear()


_here = threading.local()
_left_behind: list[_Session] = []


def _session() -> _Session:
    """Return this thread's session. A forked process begins its own: the other is its parent's."""
    session: _Session | None = getattr(_here, "session", None)
    if session is not None and session.process != os.getpid():
        # Kept, never closed: its connections are in use elsewhere.
        _left_behind.append(session)
        session = None
    if session is None:
        session = _here.session = _Session()
    return session


@atexit.register
def end_session() -> None:
    """End the connections of this thread; the next remote file begins new ones."""
    session: _Session | None = _here.__dict__.pop("session", None)
    if session is not None and session.process == os.getpid():
        session.close()


def _ask(url: Url, work: Callable[[Any], Coroutine[Any, Any, T]], done: str) -> T:
    """Do some work with a filesystem; say what went wrong in one line."""
    try:
        return _session().run(url, work)
    except (CnnCliError, MemoryError):
        raise
    # What the libraries below may raise has no end, and none of it is to reach the user.
    except Exception as error:
        reason, hint = _reason(error)
        raise FileProblem(f"cannot be {done}: {reason}", hint=hint, path=url) from error


def _filesystem(url: Url) -> Any:
    module, name, options = _SYSTEMS[url.scheme]
    try:
        kind = getattr(import_module(module), name)
        settings = options()
    except ImportError:
        raise FileProblem(
            "remote files need extra packages",
            hint="pip install 'cnncli[remote]'",
            path=url,
        ) from None
    # What it logs is about itself; what it raises is what the user is told.
    logging.getLogger(module.partition(".")[0]).addHandler(logging.NullHandler())
    return kind(asynchronous=True, skip_instance_cache=True, use_listings_cache=False, **settings)


def _http_options() -> dict[str, Any]:
    return {
        "client_kwargs": {
            "timeout": _client_timeout(),
            "trust_env": True,
            "headers": {
                "User-Agent": f"cnncli/{__version__}",
                "Accept-Encoding": "identity",
            },
        }
    }


def _s3_options() -> dict[str, Any]:
    return {
        "config_kwargs": {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"max_attempts": 1},
        }
    }


def _gs_options() -> dict[str, Any]:
    return {"session_kwargs": {"timeout": _client_timeout(), "trust_env": True}}


def _client_timeout() -> Any:
    make = import_module("aiohttp").ClientTimeout
    return make(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)


# Named, not looked up in fsspec's registry, where settings of its own could put others. Of gcsfs
# the plain one, as what else it has starts threads.
_SYSTEMS: Final[dict[str, tuple[str, str, Callable[[], dict[str, Any]]]]] = {
    "http": ("fsspec.implementations.http", "HTTPFileSystem", _http_options),
    "https": ("fsspec.implementations.http", "HTTPFileSystem", _http_options),
    "s3": ("s3fs", "S3FileSystem", _s3_options),
    "gs": ("gcsfs.core", "GCSFileSystem", _gs_options),
}

# By name, as none of these classes is there before its package is loaded.
_REASONS: Final = {
    "ClientConnectorDNSError": "its host is not found",
    "ClientConnectorCertificateError": "its certificate is not trusted",
    "ClientSSLError": "no secure connection to it",
    "SSLError": "no secure connection to it",
    "ClientPayloadError": "the connection ended before the file did",
    "ServerDisconnectedError": "the connection was lost",
    "ClientOSError": "the connection was lost",
    "ClientResponseError": "the server's answer is broken",
    "ClientError": "the server cannot be understood",
    "ConnectionTimeoutError": f"no connection within {CONNECT_SECONDS} seconds",
    "ServerTimeoutError": f"no answer within {READ_SECONDS} seconds",
    "TimeoutError": f"no answer within {READ_SECONDS} seconds",
    "ConnectTimeoutError": f"no connection within {CONNECT_SECONDS} seconds",
    "ReadTimeoutError": f"no answer within {READ_SECONDS} seconds",
    "EndpointConnectionError": "no connection to its service",
    "FileNotFoundError": "not found",
    "PermissionError": "access denied",
    "NoCredentialsError": "no credentials found",
    "ParamValidationError": "no valid name of a bucket or object",
}
_HINTS: Final = {
    "NoCredentialsError": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=true for "
    "what is public",
}


def _reason(error: BaseException) -> tuple[str, str | None]:
    for kind in type(error).__mro__:
        inner = getattr(error, "os_error", None)
        if kind.__name__ == "ClientConnectorError" and inner is not None and inner.errno:
            return f"no connection to it: {os.strerror(inner.errno).lower()}", None
        if kind.__name__ in _REASONS:
            return _REASONS[kind.__name__], _HINTS.get(kind.__name__)
    # Texts of libraries may hold whole addresses, with what is secret in them.
    return re.sub(r"\S*://\S*", "...", one_line(error)), None
