"""Addresses of remote files: which are taken and what they are called. Opens nothing."""

from __future__ import annotations

import ipaddress
import re
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError, hide_secrets, quote

STORES = ("s3", "gs")
"""Schemes of object stores, which can be listed and written to."""

SCHEMES = (*STORES, "https", "http")
"""All schemes that are taken, whatever else the library behind them knows."""

_ALLOWED = "s3://, gs://, https:// and, on this machine, http://"
# Chains such as zip::https://... have colons before the first slashes.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.:-]*)://", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class Url:
    """The address of a remote file, folder or pattern, as far as names go.

    Its text is never shown: it may hold passwords and signatures. ``str()`` leaves those out.

    Parameters
    ----------
    text : str
        As given, with the scheme in lower case.

    Examples
    --------
    >>> url = parse_url("https://me:secret@host.org/in/cat.jpg?signature=42")
    >>> str(url), url.name, url.stem, url.suffix
    ('https://host.org/in/cat.jpg?...', 'cat.jpg', 'cat', '.jpg')
    """

    text: str

    @property
    def scheme(self) -> str:
        """One of `SCHEMES`."""
        return self.text.partition(":")[0]

    @property
    def is_store(self) -> bool:
        """Whether it is in an object store, which can be listed and written to."""
        return self.scheme in STORES

    @property
    def path(self) -> str:
        """In an object store the bucket and the key, elsewhere the decoded path."""
        if self.is_store:
            return self.text.partition("://")[2]
        return unquote(self.parts.path)

    @cached_property
    def parts(self) -> SplitResult:
        """The parts of an address that is in no object store."""
        return urlsplit(self.text)

    @property
    def name(self) -> str:
        """The file's name, without what a server is asked beside it."""
        return self.path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The extension with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def is_folder(self) -> bool:
        """Whether it names all that begins with it."""
        if self.is_store:
            return "/" not in self.path or self.path.endswith("/")
        return self.path in ("", "/") or (self.path.endswith("/") and not self.parts.query)

    @property
    def is_pattern(self) -> bool:
        """Whether it has wildcards."""
        return any(c in self.path for c in "*?[") if self.is_store else "*" in self.path

    @property
    def folder(self) -> str:
        """Its host or bucket, and the folders in it."""
        host = "" if self.is_store else self.parts.hostname or ""
        return f"{host}{self.path}".rpartition("/")[0]

    @property
    def identity(self) -> tuple[int, int]:
        """Numbers that stand for it where files have device and inode, which are never negative."""
        # Loaded here because few inputs are addresses.
        import hashlib

        digest = hashlib.sha256(self.text.encode("utf-8", "surrogateescape")).digest()
        return -1, int.from_bytes(digest[:8], "big")

    def __fspath__(self) -> str:
        # For names, of which `quote` shows no secret.
        return self.text

    def __str__(self) -> str:
        return hide_secrets(self.text)

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"


Location = Path | Url
"""Where a file is, on this machine or elsewhere."""


def is_url(text: str) -> bool:
    """Tell an address from the path of a file, which may begin with ``./``.

    Examples
    --------
    >>> is_url("s3://bucket/cat.jpg"), is_url("./s3://bucket/cat.jpg"), is_url("zip::file://a")
    (True, False, True)
    """
    return _ADDRESS.match(text) is not None


def locate(text: str) -> Location:
    """Return what a name stands for: a path, or an address if it looks like one.

    Raises
    ------
    OptionError
        For an address that `parse_url` refuses.

    Examples
    --------
    >>> locate("s3://bucket/cat.jpg"), locate("./s3://bucket/cat.jpg")
    (Url('s3://bucket/cat.jpg'), PosixPath('s3:/bucket/cat.jpg'))
    """
    return parse_url(text) if is_url(text) else Path(text)


def local_path(text: str, option: str) -> Path:
    """Return the path of a file where no address will do.

    Raises
    ------
    OptionError

    Examples
    --------
    >>> local_path("https://host.org/cat.jpg?signature=42", "--image")
    Traceback (most recent call last):
    cnncli.errors.OptionError: --image needs a file on this machine, got
    'https://host.org/cat.jpg?...'
    """
    if is_url(text):
        raise OptionError(f"{option} needs a file on this machine, got {quote(text)}")
    if not text:
        raise OptionError(f"{option} must name a file, got nothing")
    return Path(text)


def join(folder: str, name: str) -> Location:
    """Return where a file of that name is in a folder.

    Examples
    --------
    >>> join("s3://bucket", "cat.png"), join("out", "cat.png")
    (Url('s3://bucket/cat.png'), PosixPath('out/cat.png'))
    """
    if not is_url(folder):
        return Path(folder, name)
    return parse_url(folder + name if folder.endswith("/") else f"{folder}/{name}")


def parse_url(text: str) -> Url:
    """Check an address.

    Parameters
    ----------
    text : str

    Returns
    -------
    Url

    Raises
    ------
    OptionError
        If its scheme is not allowed, it is no address, or it would send data in clear text over
        a network.

    Examples
    --------
    >>> parse_url("ftp://me:secret@host.org/cat.jpg")
    Traceback (most recent call last):
    cnncli.errors.OptionError: remote files need s3://, gs://, https:// and, on this machine,
    http://, got 'ftp://host.org/cat.jpg'
    """
    match = _ADDRESS.match(text)
    scheme = match.group(1).lower() if match else ""
    if scheme not in SCHEMES:
        raise OptionError(
            f"remote files need {_ALLOWED}, got {quote(text)}",
            hint="./ in front of the name of a file on this machine",
        )
    url = Url(f"{scheme}{text[len(scheme) :]}")
    if not text.isprintable():
        raise OptionError("an address has no such characters", path=text)
    if url.is_store:
        _check_bucket(url)
    else:
        _check_host(url)
    return url


def parse_output(text: str) -> Url:
    """Check an address that results are to go to.

    Raises
    ------
    OptionError
        As `parse_url`, and for the web.

    Examples
    --------
    >>> parse_output("https://host.org/out/")
    Traceback (most recent call last):
    cnncli.errors.OptionError: 'https://host.org/out/': results go to s3://, gs:// or this machine,
    not to a web address
    """
    url = parse_url(text)
    if not url.is_store:
        raise OptionError(
            "results go to s3://, gs:// or this machine, not to a web address",
            hint="-o out/, and copy from there",
            path=url,
        )
    return url


def _check_bucket(url: Url) -> None:
    bucket = url.path.partition("/")[0]
    if "@" in bucket:
        raise OptionError(
            "credentials are not taken from an address",
            hint="the variables and files of the service's own tools hold them",
            path=url,
        )
    if not bucket or any(c in bucket for c in "*?[] \\"):
        raise OptionError(
            "an address needs the name of a bucket",
            hint=f"{url.scheme}://bucket/name.png",
            path=url,
        )


def _check_host(url: Url) -> None:
    try:
        host = url.parts.hostname
        port = url.parts.port
    except ValueError:
        host, port = None, None
    if not host or "\\" in url.parts.netloc or port == 0:
        raise OptionError("an address needs the name of a host", path=url)
    if url.scheme == "http" and not _is_this_machine(host):
        raise OptionError(
            "http:// is taken from this machine only, as anyone on the way may read and change it",
            hint="https://, or pipe the image in",
            path=url,
        )


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
