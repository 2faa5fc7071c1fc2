"""With the extra ``fast`` every picture has the pixels that it has without."""

from __future__ import annotations

import importlib.util
import random
import zlib
from itertools import product
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.errors import FileProblem
from cnncli.io import fast_codecs, pillow_reader, png_writer
from cnncli.io.images import Picture, read_bytes
from cnncli.io.read_options import ReadOptions
from cnncli.io.writers import encode
from tests.support.picturefiles import OPTIONS, encoded

RNG = np.random.default_rng(14)
NOISE = RNG.integers(0, 256, (37, 53, 3), np.uint8)
SMOOTH = np.rint(
    127 + 120 * np.sin(np.arange(37)[:, None, None] / [5, 7, 9] + np.arange(53)[None, :, None] / 6)
).astype(np.uint8)
SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "4:1:1")


class Decoders:
    """Counts what simplejpeg decoded, and lets it be left out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch, self.decoded = monkeypatch, 0
        monkeypatch.setattr(pillow_reader, "decode_jpeg", self._decode)

    def _decode(self, *arguments: Any) -> np.ndarray | None:
        pixels = fast_codecs.decode_jpeg(*arguments)
        self.decoded += pixels is not None
        return pixels

    def both(self, data: bytes, options: ReadOptions) -> tuple[Any, Any]:
        """Return what becomes of a file with simplejpeg and without."""
        fast = outcome(data, options)
        with self.patch.context() as without:
            without.setattr(fast_codecs, "_optional", lambda module: None)
            return fast, outcome(data, options)

    def check(self, data: bytes, options: ReadOptions = OPTIONS) -> None:
        """Hold what is read with simplejpeg to what is read without."""
        fast, plain = self.both(data, options)
        if not isinstance(plain, Picture):
            assert fast == plain
            return
        assert np.array_equal(fast.pixels, plain.pixels) and fast.pixels.flags.c_contiguous
        assert (fast.scale, fast.notes) == (plain.scale, plain.notes)
        assert vars(fast.photo_metadata) == vars(plain.photo_metadata)


def outcome(data: bytes, options: ReadOptions) -> Picture | str:
    try:
        return read_bytes(data, options)
    except FileProblem as error:
        return str(error)


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> Decoders:
    if importlib.util.find_spec("simplejpeg") is None:
        pytest.skip("needs the extra fast")
    return Decoders(monkeypatch)


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_size_quality_and_sampling(decoders: Decoders, mode: str, progressive: bool) -> None:
    cases = list(product((1, 8, 17, 37), (1, 16, 53), (5, 75, 95, 100), SAMPLINGS, (NOISE, SMOOTH)))
    for rows, columns, quality, sampling, pixels in cases:
        picture = Image.fromarray(np.ascontiguousarray(pixels[:rows, :columns])).convert(mode)
        more = {"subsampling": sampling} if mode == "RGB" else {}
        data = encoded(picture, "JPEG", quality=quality, progressive=progressive, **more)
        decoders.check(data)
    assert decoders.decoded >= len(cases)


@pytest.mark.oracle
@pytest.mark.parametrize("orientation", range(10))
def test_every_turn_with_profile_and_resolution(decoders: Decoders, orientation: int) -> None:
    exif = Image.Exif()
    exif[274], exif[271] = orientation, "maker"
    profile = b"\0" * 16 + b"RGB " + b"\0" * 16 + b"acsp" + b"\0" * 200
    more: dict[str, Any] = {"exif": exif, "icc_profile": profile, "dpi": (300, 300)}
    decoders.check(encoded(NOISE, "JPEG", **more), ReadOptions(gray=orientation % 2 == 1))
    assert decoders.decoded == 1


@pytest.mark.oracle
def test_colours_of_rgb_files_and_the_first_of_several_pictures(decoders: Decoders) -> None:
    decoders.check(encoded(NOISE, "JPEG", keep_rgb=True, subsampling="4:4:4"))
    second = Image.fromarray(SMOOTH)
    several = encoded(NOISE, "MPO", save_all=True, append_images=[second])
    decoders.check(several)
    assert decoders.decoded == 2
    decoders.check(several, ReadOptions(frame=1))
    assert decoders.decoded == 2


@pytest.mark.oracle
def test_what_stays_with_pillow(decoders: Decoders) -> None:
    cmyk = encoded(Image.fromarray(NOISE).convert("CMYK"), "JPEG")
    decoders.check(cmyk)
    decoders.check(encoded(NOISE, "JPEG"), ReadOptions(size=(4, 6)))
    whole = encoded(NOISE, "JPEG")
    for data in (whole[:-2], whole[:-200], whole[:300], whole[:-2] + bytes(9)):
        decoders.check(data)
    assert decoders.decoded == 0


@pytest.mark.oracle
@pytest.mark.parametrize("progressive", [False, True])
def test_damaged_files_are_read_or_refused_as_without(
    decoders: Decoders, progressive: bool
) -> None:
    rng = random.Random(14)
    whole = encoded(SMOOTH, "JPEG", progressive=progressive, restart_marker_blocks=2)
    for _ in range(300):
        data = bytearray(whole)
        place = rng.randrange(2, len(data))
        if rng.random() < 0.3:
            del data[place : place + rng.randrange(1, 30)]
        else:
            data[place] = rng.randrange(256)
        decoders.check(bytes(data))
    assert decoders.decoded > 20


@pytest.mark.oracle
@pytest.mark.parametrize("compress", ["fast", "small"])
def test_png_files_of_both_deflaters_hold_the_same_pixels(
    monkeypatch: pytest.MonkeyPatch, compress: str
) -> None:
    library = pytest.importorskip("zlib_ng.zlib_ng")
    flat = np.zeros((40, 60, 3), np.uint8)
    for levels in (NOISE, SMOOTH, flat, NOISE[:, :, 0], NOISE.astype(np.uint16) << 7):
        depth = str(8 * levels.itemsize)
        sizes = []
        for module in (library, zlib):
            monkeypatch.setattr(png_writer, "_zlib", module)
            data = encode(levels, "png", depth=depth, compress=compress)
            found = read_bytes(data, OPTIONS).pixels[0].reshape(levels.shape)
            assert np.array_equal(found, levels)
            sizes.append(len(data))
        assert abs(sizes[0] - sizes[1]) <= 0.1 * max(sizes)


def test_a_module_that_cannot_be_loaded_counts_as_missing(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "broken_codec.py").write_text("raise ValueError('built for another numpy')")
    monkeypatch.syspath_prepend(tmp_path)
    assert fast_codecs._optional("broken_codec") is None
    assert fast_codecs._optional("missing_codec") is None
