"""Records that wait on disk."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cnncli.batch.spool import Spool
from cnncli.errors import FileProblem
from tests.support.disks import small_disk


@pytest.mark.parametrize("length", [1, 300, 300_000])
def test_a_spool_gives_back_what_it_was_given(length: int) -> None:
    spool = Spool()
    records = [
        bytes([number % 256]) * (length * (number % 3)) for number in range(3000 // length + 9)
    ]
    records += [bytes([number % 256]) * (length % 1000) for number in range(2000)]
    places = [spool.append(record) for record in records]
    assert list(spool) == records and len(spool) == len(records)
    order = list(range(len(records)))
    random.Random(1).shuffle(order)
    assert all(spool.read(places[index]) == records[index] for index in order)
    together = zip(spool, spool, strict=True)
    assert all(one == other for one, other in together)


def test_a_full_disk_for_temporary_files_is_named() -> None:
    script = (
        "from cnncli.batch.spool import Spool; from cnncli.errors import FileProblem\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "spool = Spool()\n"
        "try:\n    for _ in range(9): spool.append(bytes(300_000))\n"
        "except FileProblem as problem: print(problem)"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run(
        [sys.executable, "-c", script], preexec_fn=limit, capture_output=True, check=True
    )
    assert done.stdout == b"a temporary file cannot be written: file too large\n"


@pytest.mark.parametrize("length", [100, 200_000])
def test_a_full_disk_takes_no_record_that_a_spool_has(
    length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long records fail where they are moved to the disk, short ones later, in a file of their own.
    spool, records, record = Spool(), list[bytes](), bytes(range(100)) * (length // 100)
    with small_disk(tmp_path / "small", 64 if length > 100 else 300) as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with pytest.raises(FileProblem, match="a temporary file cannot be written: no space left"):
            while True:
                spool.append(record)
                records.append(record)
        assert (len(spool), list(spool)) == (len(records), records)
        assert spool.read(0) == record
        del spool
