"""Images from servers and object stores, and results to them: real servers on this machine."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cnncli.batch.sources import gather
from cnncli.cli import cli
from cnncli.errors import FileProblem, OptionError, hide_secrets
from cnncli.io import remote
from cnncli.io.urls import Url, parse_url
from tests.support.patience import patient
from tests.support.picturefiles import encoded
from tests.support.shell import (
    error_lines,
    npy_bytes,
    pixels,
    refused,
    refused_untouched,
    run_cli,
    run_process,
    snapshot,
)
from tests.support.webserver import ENDLESS, WebServer, serving

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

pytestmark = pytest.mark.oracle

COLOURS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
PNG = encoded(COLOURS, "PNG")
POOL = ("pool", "--size", "2")


@pytest.fixture(autouse=True)
def end_session() -> Iterator[None]:
    """Leave every test without connections to servers of another."""
    yield
    remote.end_session()


@pytest.fixture
def web(empty_folder: Path) -> Iterator[WebServer]:
    with serving() as server:
        server.files = {"/photo.png": PNG, "/in/cat.png": PNG, "/v.npy": npy_bytes(COLOURS)}
        yield server


def expected() -> np.ndarray:
    return COLOURS.reshape(2, 2, 2, 2, 3).max((1, 3))


@pytest.mark.parametrize("path", ["photo.png", "in/cat.png?size=large#top", "to/photo", "moody"])
def test_an_image_from_a_server(web: WebServer, path: str) -> None:
    web.places["photo"] = "/photo.png"
    run_cli(*POOL, web.url(path), "-o", "out.png")
    assert (pixels("out.png") == expected()).all()
    assert web.asked["moody"] in (0, 2)


def test_arrays_too_and_names_without_the_query(web: WebServer) -> None:
    run_cli(*POOL, web.url("v.npy?a=b.tif"), web.url("in/cat.png?x=1"), "-o", "{stem}-{ext}.png")
    assert set(snapshot()) == {"v-npy.png", "cat-png.png"}


def test_no_file_but_the_output_is_left(web: WebServer) -> None:
    done = run_process(*POOL, web.url("photo.png"))
    assert (done.returncode, done.stderr.decode().count("\n")) == (0, 1), done.stderr
    assert set(snapshot()) == {"photo-pool.png"}


def test_one_bad_image_does_not_stop_the_rest(web: WebServer) -> None:
    result = run_cli(*POOL, web.url("status/404"), web.url("photo.png"), "-o", "{stem}.png", code=1)
    assert "not found (HTTP 404)" in result.stderr
    assert set(snapshot()) == {"photo.png"}


FAULTS = {
    "status/404": "not found (HTTP 404)",
    "status/403": "access denied (HTTP 403)",
    "status/401": "access denied (HTTP 401)",
    "status/500": "the server answers HTTP 500, internal server error",
    "status/599": "the server answers HTTP 599",
    "status/202": "the server answers HTTP 202, accepted",
    "truncated": "the connection ended before the file did",
    "rude": "the connection was lost",
    "modest": "broken",
    "boasting": "more than the limit of 1000000 bytes",
    "endless": "more than the limit of 1000000 bytes",
    "to/file": "redirects to an address that is not allowed",
    "to/ftp": "redirects to an address that is not allowed",
    "to/memory": "redirects to an address that is not allowed",
    "to/store": "redirects to an address that is not allowed",
    "to/clear": "redirects to an address that is not allowed",
    "to/nothing": "redirects more than",
    "to/loop": "redirects more than",
}


@pytest.mark.parametrize("path", FAULTS)
def test_faults_of_servers_are_one_line(web: WebServer, path: str) -> None:
    web.places = {
        "file": "file:///etc/passwd",
        "ftp": "ftp://127.0.0.1/x.png",
        "memory": "memory://x.png",
        "store": "s3://bucket/x.png",
        "clear": "http://192.0.2.1/x.png",
        "nothing": "",
        "loop": "/to/loop",
    }
    error = refused_untouched(*POOL, web.url(path), "-o", "out.png", "--max-input-bytes", "1000000")
    assert error.startswith(f"cnncli: error: '{web.url(path)}': "), error
    assert FAULTS[path] in error
    assert web.sent < ENDLESS / 4


def test_a_silent_server_is_left(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "READ_SECONDS", 0.2)
    assert "no answer within" in refused_untouched(*POOL, web.url("silent"), "-o", "out.png")
    assert web.asked["silent"] == 1


def test_nobody_there(empty_folder: Path) -> None:
    with serving() as server:
        url = server.url("photo.png")
    assert "no connection to it: connection refused" in refused(*POOL, url)
    assert "its host is not found" in refused(*POOL, "https://nowhere.invalid/a.png")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of this machine that nobody but itself vouches for, with its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cnncli's tests")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file


def test_https_checks_certificates_and_never_becomes_http(
    certificate: Path, empty_folder: Path
) -> None:
    trusting = {"env": {**os.environ, "SSL_CERT_FILE": str(certificate)}}
    with serving(certificate) as server:
        server.files["/photo.png"] = PNG
        server.places["clear"] = "http://127.0.0.1:1/photo.png"
        plain, clear = server.url("photo.png"), server.url("to/clear")
        assert "certificate is not trusted" in error_lines(run_process(*POOL, plain), 1)
        error = error_lines(run_process(*POOL, clear, **trusting), 1)
        assert "address that is not allowed: 'http://127.0.0.1:1/photo.png'" in error
        done = run_process(*POOL, plain, **trusting)
    assert done.returncode == 0, done.stderr
    assert set(snapshot()) == {"photo-pool.png"}


@pytest.mark.parametrize(
    "word",
    [
        *("file:///etc/passwd", "ftp://host/a.png", "memory://a.png", "zip://a.png::b.zip"),
        *("github://me:repo@main/a.png", "simplecache::https://host/a.png", "local://a.png"),
        *("https+x://host/a.png", "s3a://bucket/a.png", "a://b.png"),
    ],
)
def test_other_schemes_are_refused(empty_folder: Path, word: str) -> None:
    for arguments in ([word], ["photo.png", "-o", word]):
        error = refused_untouched(*POOL, *arguments, code=2)
        assert "remote files need s3://, gs://, https:// and, on this machine, http://" in error


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("http://example.org/a.png", "http:// is taken from this machine only"),
        ("http://127.0.0.1.example.org/a.png", "http:// is taken from this machine only"),
        ("http://127.0.0.1\\@example.org/a.png", "needs the name of a host"),
        ("https:///a.png", "needs the name of a host"),
        ("https://host:port/a.png", "needs the name of a host"),
        ("https://host/a\n.png", "has no such characters"),
        ("s3:///a.png", "needs the name of a bucket"),
        ("s3://*/a.png", "needs the name of a bucket"),
        ("s3://key:secret@bucket/a.png", "credentials are not taken from an address"),
        ("https://host/photos/", "has no folders and wildcards"),
        ("https://host/*.png", "has no folders and wildcards"),
        ("https://host", "has no folders and wildcards"),
    ],
)
def test_addresses_that_cannot_be(empty_folder: Path, word: str, reason: str) -> None:
    error = refused_untouched(*POOL, word, code=2)
    assert reason in error
    assert "secret" not in error


def test_results_do_not_go_to_the_web(web: WebServer) -> None:
    for place in ("out.png", "out/", "{stem}.png"):
        error = refused_untouched(*POOL, web.url("photo.png"), "-o", web.url(place), code=2)
        assert "results go to s3://, gs:// or this machine" in error
    assert not web.asked


def test_a_file_of_such_a_name_is_a_file_all_the_same(empty_folder: Path) -> None:
    Path("s3:/bucket").mkdir(parents=True)
    Path("s3:/bucket/photo.png").write_bytes(PNG)
    run_cli(*POOL, "./s3://bucket/photo.png", "-o", "./s3://bucket/out.png")
    assert (pixels("s3:/bucket/out.png") == expected()).all()


def test_lists_may_name_addresses(empty_folder: Path) -> None:
    Path("list.txt").write_text("https://host/a.png?b=c\ns3://bucket/d.png\ne.png\n")
    found = gather([], False, True, "list.txt")
    assert [(source.path, source.folder) for source in found] == [
        (Url("https://host/a.png?b=c"), "host"),
        (Url("s3://bucket/d.png"), "bucket"),
        (Path("e.png"), ""),
    ]
    Path("list.txt").write_text("file:///etc/passwd\n")
    with pytest.raises(OptionError, match="remote files need"):
        gather([], False, True, "list.txt")


@pytest.mark.parametrize(
    "words",
    [
        *("run URL a.png", "plan URL", "grad URL a.png --unit x", "convert URL -o x.toml"),
        *(
            "conv a.png --filter URL",
            "conv a.png --filter box --bias URL",
            "pool a.png --report URL",
        ),
        *("explain --network URL a.png", "pool a.png --files-from URL", "filters show URL"),
    ],
)
def test_where_addresses_are_not_taken_they_are_not_shown_either(
    empty_folder: Path, words: str
) -> None:
    url = "https://me:secret@host/a.json?key=secret"
    Path("a.png").write_bytes(PNG)
    result = CliRunner().invoke(cli, words.replace("URL", url).split())
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith("cnncli: error: ")
    assert "secret" not in result.output


def test_passwords_and_signatures_are_not_shown(web: WebServer) -> None:
    url = web.url("private/cat.png?signature=hidden", "me:secret@")
    shown = web.url("private/cat.png?...")
    done = run_cli(*POOL, url, "-o", "cat.png", "--json")
    assert json.loads(done.stdout)["input"] == shown
    with Image.open("cat.png") as image:
        record = json.loads(image.info["cnncli"])
    assert record["command"] == f"cnncli pool --size 2 '{shown}' -o cat.png --json"
    error = refused(*POOL, url, "-o", "cat.png")
    assert "exists already" in error
    words = url, url.replace("/cat", "/dog"), "-o", "{stem}.png", "--skip-existing"
    run_cli(*POOL, *words, "--report", "r.json")
    denied = refused(*POOL, url.replace("secret", "wrong-word"), "-o", "d.png")
    assert "access denied (HTTP 401)" in denied
    everything = Path("cat.png").read_bytes().decode("latin-1")
    report = Path("r.json").read_text()
    assert shown in report
    for text in (report, done.stdout, done.stderr, error, denied, everything):
        assert not any(word in text for word in ("secret", "hidden", "wrong-word", "me:"))


@pytest.mark.parametrize(
    "word", ["https://me:secret@host/a.png?s=secret#secret", "ftp://me:secret@host/?secret",
             "--x=s3://secret@b/a.png?k=secret", "https://me:sec/ret@host/a?secret"]
)  # fmt: skip
def test_hidden(word: str) -> None:
    assert "sec" not in hide_secrets(word)
    assert hide_secrets(hide_secrets(word)) == hide_secrets(word)


def test_names_of_objects_are_shown_in_full() -> None:
    for word in ("s3://bucket/a?[b]#1.png", "https://host:8080/@me/a.png", "a.png?b=c", "x=1"):
        assert hide_secrets(word) == word


def test_the_extra_is_named_when_it_is_missing(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.implementations.http", None)
    error = refused(*POOL, "https://host/a.png")
    assert error.splitlines()[1] == "hint: pip install 'cnncli[remote]'"


AFTER_A_FORK = """
import os, sys, threading
from cnncli.io.remote import read_url
from cnncli.io.urls import parse_url
urls = [parse_url(text) for text in sys.argv[1:]]
before = [read_url(url, 10**6) for url in urls]
assert threading.active_count() == 1, threading.enumerate()
child = os.fork()
assert [read_url(url, 10**6) for url in urls] == before
assert threading.active_count() == 1
if not child:
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


def read_beside_a_fork(*urls: str) -> None:
    command = [sys.executable, "-W", "error", "-c", AFTER_A_FORK, *urls]
    done = subprocess.run(command, capture_output=True, timeout=patient(20), check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


def test_no_thread_and_no_connection_is_shared_with_a_fork(web: WebServer) -> None:
    read_beside_a_fork(web.url("photo.png"), web.url("in/cat.png"))


def test_worker_processes_read_for_themselves(web: WebServer) -> None:
    web.files |= {f"/in/{k}.png": encoded(COLOURS + k, "PNG") for k in range(6)}
    urls = [web.url(f"in/{k}.png") for k in range(6)]
    run_cli(*POOL, *urls, "-o", "one/", "--jobs", 1)
    done = run_process(*POOL, *urls, "-o", "two/", "--jobs", 2)
    assert done.returncode == 0, done.stderr
    one = {Path(name).name: data for name, data in snapshot("one").items()}
    assert len(one) == 6
    assert one.keys() == {Path(name).name for name in snapshot("two")}
    assert all((pixels(f"one/{name}") == pixels(f"two/{name}")).all() for name in one)


def test_what_is_read_is_bounded_by_a_function_too(web: WebServer) -> None:
    with pytest.raises(FileProblem, match="more than the limit of 10 bytes"):
        remote.read_url(parse_url(web.url("photo.png")), 10)
