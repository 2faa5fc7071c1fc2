"""Object stores on this machine: moto's server speaks S3, an emulator Google's protocol."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.request import Request, urlopen

import pytest

from tests.support.patience import until

BUCKET = "photos"


class Store(Protocol):
    """A bucket, reached without cnncli and without fsspec."""

    scheme: str
    variables: dict[str, str]

    def put(self, key: str, data: bytes) -> None: ...

    def content(self) -> dict[str, bytes]: ...


class S3:
    """A bucket of Amazon's kind."""

    scheme = "s3"

    def __init__(self, url: str) -> None:
        import boto3

        login = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        self.variables = {**login, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": url}
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()
        self.client.create_bucket(Bucket=BUCKET)

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def content(self) -> dict[str, bytes]:
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        get = self.client.get_object
        return {o["Key"]: get(Bucket=BUCKET, Key=o["Key"])["Body"].read() for o in found}


class Google:
    """A bucket of Google's kind."""

    scheme = "gs"

    def __init__(self, url: str) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        self.variables = {"STORAGE_EMULATOR_HOST": url, "NO_GCE_CHECK": "true"}
        self.client = Client(
            "tests", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
        )
        urlopen(f"{url}/wipe").close()
        self.bucket = self.client.create_bucket(BUCKET)

    def put(self, key: str, data: bytes) -> None:
        self.bucket.blob(key).upload_from_string(data)

    def content(self) -> dict[str, bytes]:
        return {blob.name: blob.download_as_bytes() for blob in self.client.list_blobs(BUCKET)}


@contextmanager
def s3_server() -> Iterator[str]:
    """Run a server that speaks S3; yield its address."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def google_server() -> Iterator[str]:
    """Run a server that speaks as Google's does; yield its address."""
    pytest.importorskip("gcsfs")
    pytest.importorskip("gcp_storage_emulator")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A process of its own, as it says on standard error what readers hung up on.
    options = ["start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"]
    command = [sys.executable, "-m", "gcp_storage_emulator", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as server:
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(listens)
