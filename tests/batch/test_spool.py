"""Hashes of many names, and records that wait on disk."""

from __future__ import annotations

import random
import resource
import subprocess
import sys

import pytest

from cnncli.batch.spool import Spool
from cnncli.pipeline.hash_table import HashSet, HashTable, hash64


def test_a_table_keeps_the_first_value_of_each_key() -> None:
    table, kept = HashTable(), dict[int, int]()
    numbers = random.Random(3)
    # Some collide wherever they belong, as their last bits are alike, and most come twice.
    keys = [number << 40 | 5 for number in range(300)]
    keys += [numbers.getrandbits(64) for _ in range(20_000)]
    for key in numbers.choices(keys, k=50_000):
        value = numbers.getrandbits(64)
        assert table.insert(key, value) == kept.get(key)
        kept.setdefault(key, value)
    assert len(table) == len(kept)


def test_a_table_takes_every_key() -> None:
    table = HashTable()
    for key in (0, 2**64 - 1, 2**63):
        assert table.insert(key, 7) is None
        assert table.insert(key, 8) == 7


def test_a_set_knows_its_members() -> None:
    pairs = [(number % 7, number) for number in range(10_000)]
    numbers = HashSet(pairs)
    assert all(pair in numbers for pair in pairs) and len(numbers) == 10_000
    assert not any((number % 7 + 1, number) in numbers for number in range(10_000))
    assert (1, 2) not in HashSet()


def test_hashes_of_names_fill_64_bits() -> None:
    hashes = [hash64(f"{number}.png") for number in range(1000)]
    assert len(set(hashes)) == 1000 and 2**63 < max(hashes) < 2**64


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
