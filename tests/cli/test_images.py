"""What can be given as IMAGE: modes, arrays, folders, standard input; and what is said of them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.crafted import png
from tests.support.picturefiles import encoded
from tests.support.shell import (
    npy_bytes,
    pixels,
    refused,
    refused_untouched,
    run_cli,
    run_shell,
    save,
    save_array,
    snapshot,
    values_of,
)

pytestmark = pytest.mark.usefixtures("empty_folder")

RANDOM = np.random.default_rng(13)
RGB = RANDOM.integers(0, 256, (5, 7, 3), np.uint8)
GREY = RANDOM.integers(0, 256, (5, 7), np.uint8)
DEEP = RANDOM.integers(0, 65_536, (5, 7), np.uint16)
ALPHA = RANDOM.integers(0, 256, (5, 7), np.uint8)
ALPHA[0, 0] = 0
WORDS = ("pad", "--padding", "0")


def read(name: str, *options: object, stdin: bytes | None = None) -> np.ndarray:
    """Return the values cnncli reads: padding by nothing changes nothing."""
    return values_of(*WORDS, name, *options, stdin=stdin)


def notes(name: str, *options: object) -> list[str]:
    """Return the notes of the report."""
    told = run_cli(*WORDS, name, *options, "-o", "told.npy", "--overwrite").stderr
    return [line for line in told.splitlines() if line.startswith("note: ")]


def over(colour: np.ndarray, alpha: np.ndarray, background: tuple[float, ...]) -> np.ndarray:
    share = alpha[:, :, None] / 255
    return colour / 255 * share + np.array(background) * (1 - share)


def palette_picture() -> tuple[Image.Image, np.ndarray]:
    colours = RANDOM.integers(0, 256, (256, 3), np.uint8)
    image = Image.fromarray(GREY)
    image.putpalette(colours.tobytes())
    return image, colours[GREY]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_rgb(suffix: str) -> None:
    save(f"x.{suffix}", RGB, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(read(f"x.{suffix}"), RGB.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm", "gif"])
def test_grey(suffix: str) -> None:
    save(f"x.{suffix}", GREY)
    got = read(f"x.{suffix}")
    # A GIF is a palette, whatever its colours are.
    assert got.shape == ((5, 7, 3) if suffix == "gif" else (5, 7, 1))
    assert np.array_equal(got[:, :, 0], GREY.astype(np.float32) / np.float32(255))


def test_one_bit() -> None:
    Image.fromarray(GREY > 99).save("x.png")
    assert np.array_equal(read("x.png")[:, :, 0], (GREY > 99).astype(np.float32))


def test_palette() -> None:
    image, colours = palette_picture()
    image.save("x.png")
    assert np.array_equal(read("x.png"), colours.astype(np.float32) / np.float32(255))


def test_palette_with_transparency() -> None:
    image, colours = palette_picture()
    image.save("x.png", transparency=int(GREY[2, 3]))
    alpha = np.where(GREY[2, 3] == GREY, 0, 255)
    np.testing.assert_allclose(read("x.png"), over(colours, alpha, (0, 0, 0)), atol=1e-6)


def test_cmyk() -> None:
    inks = RANDOM.integers(0, 256, (5, 7, 4), np.uint8)
    Image.frombytes("CMYK", (7, 5), inks.tobytes()).save("x.tif")
    light = 1 - inks / 255
    np.testing.assert_allclose(read("x.tif"), light[:, :, :3] * light[:, :, 3:], atol=1.01 / 255)


def test_ycbcr() -> None:
    flat = np.tile(np.array([90, 110, 150], np.uint8), (16, 16, 1))
    Image.frombytes("YCbCr", (16, 16), flat.tobytes()).save("x.jpg", quality=100, subsampling=0)
    red, green, blue = 90 + 1.402 * 22, 90 + 0.344136 * 18 - 0.714136 * 22, 90 - 1.772 * 18
    got = read("x.jpg")
    assert np.abs(got * 255 - [red, green, blue]).max() < 2


@pytest.mark.parametrize(
    ("background", "colour"),
    [(None, (0, 0, 0)), ("white", (1, 1, 1)), ("#336699", (0.2, 0.4, 0.6)), ("red", (1, 0, 0))],
)
@pytest.mark.parametrize("kind", ["RGBA", "LA"])
def test_transparency(kind: str, background: str | None, colour: tuple[float, ...]) -> None:
    plain = RGB if kind == "RGBA" else GREY[:, :, None]
    Image.fromarray(np.dstack([plain, ALPHA])).save("x.png")
    options = [] if background is None else ["--background", background]
    got = np.broadcast_to(read("x.png", *options), (5, 7, 3))
    np.testing.assert_allclose(got, over(plain, ALPHA, colour), atol=1e-6)
    (note,) = notes("x.png", *options)
    assert "transparency" in note and (background or "black") in note and "--background" in note


def test_a_background_that_is_none() -> None:
    save("x.png", RGB)
    assert "--background" in refused(*WORDS, "x.png", "--background", "nocolour", code=2)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bit_grey(suffix: str) -> None:
    Image.fromarray(DEEP).save(f"x.{suffix}")
    expected = DEEP.astype(np.float32) / np.float32(65_535)
    assert np.array_equal(read(f"x.{suffix}")[:, :, 0], expected)
    assert notes(f"x.{suffix}") == []


def test_big_endian_sixteen_bit_tiff() -> None:
    image = Image.frombytes("I;16B", (7, 5), DEEP.astype(">u2").tobytes())
    image.save("x.tif")
    assert np.array_equal(read("x.tif")[:, :, 0], DEEP.astype(np.float32) / np.float32(65_535))


def test_sixteen_bit_colour_is_read_with_all_its_bits() -> None:
    deep = RANDOM.integers(0, 65_536, (5, 7, 3)).astype(">u2")
    Path("x.png").write_bytes(png(7, 5, 16, 2, [row.tobytes() for row in deep]))
    assert np.array_equal(np.rint(read("x.png") * 65_535), deep)
    assert notes("x.png") == []


def test_float_tiff_and_whole_numbers() -> None:
    values = RANDOM.standard_normal((5, 7)).astype(np.float32)
    Image.fromarray(values).save("f.tif")
    assert np.array_equal(read("f.tif")[:, :, 0], values)
    numbers = RANDOM.integers(-999, 999, (5, 7)).astype(np.int32)
    Image.fromarray(numbers).save("i.tif")
    assert np.array_equal(read("i.tif")[:, :, 0], numbers)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    save("x.png", RGB, exif=exif)
    turned = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.swapaxes(0, 1),
        6: RGB[::-1].swapaxes(0, 1),
        7: RGB[::-1, ::-1].swapaxes(0, 1),
        8: RGB[:, ::-1].swapaxes(0, 1),
    }[orientation]
    assert np.array_equal(np.rint(read("x.png") * 255), turned)


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_frames(suffix: str) -> None:
    frames = [Image.fromarray(np.full((4, 4, 3), 40 * k, np.uint8)) for k in (1, 2, 3)]
    extra = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(f"x.{suffix}", save_all=True, append_images=frames[1:], **extra)
    assert (read(f"x.{suffix}") == np.float32(40) / np.float32(255)).all()
    (note,) = notes(f"x.{suffix}")
    assert "3 frames" in note and "--frame" in note
    for frame in range(3):
        got = read(f"x.{suffix}", "--frame", frame)
        assert np.abs(got * 255 - 40 * (frame + 1)).max() < 1e-4
    assert notes(f"x.{suffix}", "--frame", 0) == []
    assert "0 to 2" in refused(*WORDS, f"x.{suffix}", "--frame", 3, code=2)


def test_gray() -> None:
    save("x.png", RGB)
    got = read("x.png", "--gray")
    np.testing.assert_allclose(got[:, :, 0], RGB / 255 @ [0.299, 0.587, 0.114], atol=1e-6)
    save_array("x.npy", np.zeros((4, 4, 2)))
    assert "3 channels" in refused(*WORDS, "x.npy", "--gray", code=2)


ARRAYS: dict[str, tuple[np.ndarray, float, str]] = {
    "uint8": (GREY, 255, "float32"),
    "uint16": (DEEP, 65_535, "float32"),
    "big-endian uint16": (DEEP.astype(">u2"), 65_535, "float32"),
    "bool": (GREY > 99, 1, "float32"),
    "int64": (GREY.astype(np.int64) - 99, 1, "float32"),
    "float16": (GREY.astype(np.float16), 1, "float32"),
    "float32": (GREY.astype(np.float32), 1, "float32"),
    "big-endian float64": (GREY.astype(">f8") / 7, 1, "float64"),
    "Fortran order": (np.asfortranarray(GREY / 7), 1, "float64"),
    "Fortran order colour": (np.asfortranarray(RGB), 255, "float32"),
    "batch": (np.stack([RGB, RGB[::-1]]), 255, "float32"),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("piped", [False, True])
def test_arrays(name: str, piped: bool) -> None:
    array, scale, dtype = ARRAYS[name]
    save_array("x.npy", array)
    got = read("-", stdin=npy_bytes(array)) if piped else read("x.npy")
    expected = array.astype(dtype) / np.dtype(dtype).type(scale)
    assert got.dtype == dtype and np.array_equal(got, expected.reshape(got.shape))
    assert got.shape == (array.shape if array.ndim > 2 else (*array.shape, 1))


@pytest.mark.parametrize("shape", [(), (5,), (1, 2, 3, 4, 5), (0, 4), (3, 4, 0)])
def test_arrays_of_another_shape(shape: tuple[int, ...]) -> None:
    save_array("x.npy", np.ones(shape))
    error = refused_untouched(*WORDS, "x.npy", code=2)
    assert error.startswith("cnncli: error: 'x.npy': ") and "(N,H,W,C)" in error


@pytest.mark.parametrize("words", [("-",), ()])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_pictures_on_standard_input(form: str, words: tuple[str, ...]) -> None:
    stdin = encoded(np.full((8, 8, 3), 200, np.uint8), form)
    result = run_cli("pool", *words, stdin=stdin)
    got = np.load(io.BytesIO(result.stdout_bytes))
    assert got.shape == (4, 4, 3) and np.abs(got * 255 - 200).max() < 2


def test_standard_input_into_a_named_file() -> None:
    save("x.png", RGB)
    run_cli("pool", "-o", "y.png", stdin=Path("x.png").read_bytes())
    assert pixels("y.png").shape == (2, 3, 3)
    run_cli("pool", "-", "-o", "out/", stdin=Path("x.png").read_bytes())
    assert np.array_equal(pixels("out/stdin-pool.png"), pixels("y.png"))


def test_standard_input_twice() -> None:
    assert "once" in refused_untouched("pool", "-", "-", "-o", "a/", code=2, stdin=b"")


def test_standard_input_among_files() -> None:
    save("x.png", RGB)
    run_cli("pool", "x.png", "-", "-o", "out/", stdin=npy_bytes(RGB[::-1, ::-1]))
    assert sorted(p.name for p in Path("out").iterdir()) == ["stdin-pool.png", "x-pool.png"]


def make_folder() -> None:
    for name in ("in/b.png", "in/A.PNG", "in/sub/c.bmp", "in/sub/.hidden.png", "in/sub/deep/d.npy"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("npy"):
            save_array(name, RGB)
        else:
            save(name, RGB, format="PNG" if name.lower().endswith("png") else "BMP")
    Path("in/notes.txt").write_text("no image")


def test_folders() -> None:
    make_folder()
    run_cli("pool", "in", "-o", "out/")
    assert sorted(p.name for p in Path("out").iterdir()) == ["A-pool.png", "b-pool.png"]
    run_cli("pool", "in", "-r", "-o", "all/")
    made = {str(path) for path in Path("all").rglob("*.png")}
    assert made == {
        *("all/A-pool.png", "all/b-pool.png", "all/sub/c-pool.png", "all/sub/deep/d-pool.png")
    }


def test_a_folder_without_images() -> None:
    make_folder()
    Path("in/empty").mkdir()
    error = refused_untouched("pool", "in/empty")
    assert "'in/empty'" in error and "without images" in error and "--recursive" in error
    error = refused_untouched("pool", "in/empty", "--recursive")
    assert "without images" in error


def test_files_and_folders_together_and_a_file_given_twice() -> None:
    make_folder()
    save("z.png", RGB)
    run_cli("pool", "z.png", "in", "-o", "out/")
    assert len(list(Path("out").iterdir())) == 3
    assert "would hold both" in refused_untouched("pool", "z.png", "./z.png", code=2)


def test_two_images_of_one_name_are_refused_before_any_work() -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        save(f"{folder}/x.png", RGB)
    error = refused_untouched("pool", "a/x.png", "b/x.png", "-o", "out/", code=2)
    assert "'out/x-pool.png'" in error and "'a/x.png'" in error and "'b/x.png'" in error


def test_one_bad_image_stops_no_other() -> None:
    save("a.png", RGB)
    save("c.png", RGB)
    Path("b.png").write_bytes(b"no picture")
    result = run_cli("pool", "a.png", "b.png", "gone.png", "c.png", code=1)
    assert Path("a-pool.png").exists() and Path("c-pool.png").exists()
    errors = [line for line in result.stderr.splitlines() if line.startswith("cnncli: error: ")]
    errors.sort()
    assert len(errors) == 2
    assert errors[0].startswith("cnncli: error: 'b.png': ")
    assert errors[1].startswith("cnncli: error: 'gone.png': ")
    assert sorted(snapshot()) == ["a-pool.png", "a.png", "b.png", "c-pool.png", "c.png"]


def test_one_bad_image_in_json() -> None:
    save("a.png", RGB)
    Path("b.png").write_bytes(b"")
    result = run_cli("pool", "a.png", "b.png", "--json", code=1)
    lines = map(json.loads, result.stdout.splitlines())
    good, bad = sorted(lines, key=lambda line: line["input"])
    assert good["output"] == "a-pool.png" and bad["input"] == "b.png" and "'b.png'" in bad["error"]


def test_limits() -> None:
    save("x.png", RGB)
    error = refused_untouched("pool", "x.png", "--max-pixels", 34)
    assert "35" in error and "34" in error and "--max-pixels" in error
    run_cli("pool", "x.png", "--max-pixels", 35)
    error = refused_untouched("pool", "--max-input-bytes", 100, stdin=Path("x.png").read_bytes())
    assert "100" in error and "--max-input-bytes" in error


@pytest.mark.parametrize("name", ["CNNCLI_MAX_PIXELS", "CNNCLI_MAX_INPUT_BYTES"])
def test_limits_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "30")
    save("x.png", RGB)
    assert "limit" in refused_untouched("pool", stdin=Path("x.png").read_bytes())


@pytest.mark.parametrize(
    "name",
    ["-leading.png", "two words.png", "two\nlines.png", "\x1b[31mred.png", "é☃.png", "{op}.png"]
    + ["100%s.png", "*.png", "~.png", "<script>.png", "a:b.png"],
)
def test_names(name: str) -> None:
    save("x.png", RGB)
    Path("x.png").rename(name)
    result = run_cli("pool", "--", name)
    assert all(line.isprintable() for line in result.stderr.splitlines()[:1])
    assert len(result.stderr.splitlines()) == 1
    (made,) = [path.name for path in Path().iterdir() if path.name != name]
    unsafe = str.maketrans("\n\x1b", "__")
    assert made == name.removesuffix(".png").translate(unsafe) + "-pool.png"


@pytest.mark.slow
def test_a_name_that_is_no_text() -> None:
    name = b"bad\xff.png".decode("utf-8", "surrogateescape")
    save("x.png", RGB)
    Path("x.png").rename(name)
    done = run_shell("cnncli pool bad$'\\xff'.png && cnncli pool bad$'\\xff'.png")
    assert done.returncode == 1 and done.stdout == b""
    assert pixels("bad\udcff-pool.png").shape == (2, 3, 3)
    told = done.stderr.decode("ascii").splitlines()
    assert "\\udcff" in told[0] and told[1].startswith("cnncli: error: 'bad\\udcff-pool.png'")


def test_a_leading_dash_without_the_two_dashes() -> None:
    save("x.png", RGB)
    Path("x.png").rename("-q.png")
    run_cli("pool", "./-q.png", "-o", "y.png")
    error = refused_untouched("pool", "-x.png", code=2)
    assert "No such option" in error
