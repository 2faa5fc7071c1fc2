"""ICC profiles, EXIF, transparency and depth travel from a picture into what is made of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from cnncli.io.images import read_bytes
from cnncli.io.read_options import ReadOptions
from tests.support.crafted import png, tiff
from tests.support.shell import pixels, refused, run_cli, save, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")

RANDOM = np.random.default_rng(3)
RGB = RANDOM.integers(0, 256, (6, 8, 3), np.uint8)
GREY = RANDOM.integers(0, 256, (6, 8), np.uint8)
ALPHA = RANDOM.integers(0, 256, (6, 8), np.uint8)
DEEP = RANDOM.integers(0, 65_536, (6, 8, 3), np.uint16)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
HOLDING = ["png", "jpg", "tif", "webp"]
TURNED = 6


def exif() -> bytes:
    made = Image.Exif()
    made[271], made[274], made[33432] = "Camera", TURNED, "Someone"
    made[34665] = {36867: "2026:01:02 03:04:05", 40962: 8}
    made[34853] = {1: "N", 2: (52.0, 31.0, 0.0)}
    return made.tobytes()


def deep_png(array: np.ndarray = DEEP) -> bytes:
    rows = [row.astype(">u2").tobytes() for row in array]
    return png(array.shape[1], array.shape[0], 16, {3: 2, 4: 6}[array.shape[2]], rows)


@pytest.mark.parametrize("source", HOLDING)
@pytest.mark.parametrize("output", HOLDING)
def test_profile_and_exif_travel_and_the_turn_is_done(source: str, output: str) -> None:
    save(f"in.{source}", RGB, exif=exif(), icc_profile=PROFILE, lossless=True, quality=95)
    run_cli("pad", f"in.{source}", "--padding", "0", "-o", f"out.{output}")
    with Image.open(f"out.{output}") as image:
        image.load()
        found = image.getexif()
        assert image.info["icc_profile"] == PROFILE
        # Upright now, so nothing may turn it once more.
        assert image.size == (6, 8) and found.get(274, 1) == 1
        assert (found[271], found[33432]) == ("Camera", "Someone")
        assert found.get_ifd(34665) == {36867: "2026:01:02 03:04:05"}
        assert found.get_ifd(34853)[1] == "N"


@pytest.mark.parametrize("source", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("output", ["png", "jpg", "tif", "bmp"])
def test_pixels_per_inch_travel(source: str, output: str) -> None:
    save(f"in.{source}", RGB, dpi=(300, 300))
    run_cli("conv", f"in.{source}", "-f", "box", "-o", f"out.{output}")
    with Image.open(f"out.{output}") as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.02)


def test_a_picture_without_them_gets_none() -> None:
    save("in.png", RGB)
    run_cli("conv", "in.png", "-f", "box", "-o", "out.png")
    with Image.open("out.png") as image:
        assert "dpi" not in image.info


@pytest.mark.parametrize("output", ["png", "tif", "jpg"])
@pytest.mark.parametrize("source", ["tif", "jpg", "mpo"])
def test_a_file_without_resolution_gets_none(source: str, output: str) -> None:
    # Pillow says 1 dpi of such a TIFF, and 72 of such a JPEG with EXIF.
    tags = {} if source == "tif" else {"exif": exif()}
    save(f"in.{source}", RGB, **tags)
    Path(f"in.{source}").rename("in.picture")
    run_cli("conv", "in.picture", "-f", "box", "-o", f"out.{output}")
    with Image.open(f"out.{output}") as image:
        tiff_tags = getattr(image, "tag_v2", {})
        assert not {282, 283, 296} & (set(tiff_tags) | set(image.getexif()))
        if output == "png":
            assert "dpi" not in image.info
        if output == "jpg":
            assert image.info["jfif_unit"] == 0


@pytest.mark.parametrize(("unit", "dpi"), [(1, None), (2, 3), (3, 7.62)])
def test_the_unit_of_a_tiff_is_heeded(unit: int, dpi: float | None) -> None:
    save("in.tif", RGB, tiffinfo={282: 3.0, 283: 3.0, 296: unit})
    run_cli("conv", "in.tif", "-f", "box", "-o", "out.png")
    with Image.open("out.png") as image:
        expected = None if dpi is None else pytest.approx((dpi, dpi), abs=0.02)
        assert image.info.get("dpi") == expected


def test_resolution_in_exif_alone_travels() -> None:
    tags = Image.Exif()
    tags[282], tags[283], tags[296] = 240.0, 240.0, 2
    save("in.jpg", RGB, exif=tags.tobytes())
    run_cli("conv", "in.jpg", "-f", "box", "-o", "out.png")
    with Image.open("out.png") as image:
        assert image.info["dpi"] == pytest.approx((240, 240), abs=0.02)


@pytest.mark.parametrize("output", ["gif", "bmp", "ppm", "npy"])
def test_files_that_hold_neither_are_written_all_the_same(output: str) -> None:
    save("in.png", RGB, exif=exif(), icc_profile=PROFILE)
    run_cli("pad", "in.png", "--padding", "0", "-o", f"out.{output}")


def test_a_profile_of_colours_is_not_put_on_a_grey_picture() -> None:
    save("in.png", RGB, icc_profile=PROFILE)
    run_cli("conv", "in.png", "-f", "edge", "--gray", "-o", "out.png")
    run_cli("conv", "in.png", "-f", "edge", "-f", "sharpen", "-o", "sheet.png")
    for name in ("out.png", "sheet.png"):
        with Image.open(name) as image:
            assert "icc_profile" not in image.info


def test_broken_exif_costs_nothing_but_itself() -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    Path("in.jpg").write_bytes(file.getvalue())
    run_cli("pad", "in.jpg", "--padding", "0", "-o", "out.jpg")


@pytest.mark.parametrize("output", ["png", "tif", "webp"])
@pytest.mark.parametrize("grey", [False, True])
def test_alpha_is_kept_beside_what_is_filtered(output: str, grey: bool) -> None:
    colour = GREY[:, :, np.newaxis] if grey else RGB
    save("in.png", np.dstack([colour, ALPHA]))
    run_cli(
        "pool",
        "in.png",
        "--size",
        "3",
        "--stride",
        "1",
        "--padding",
        "same",
        "--alpha",
        "keep",
        *("-o", f"out.{output}"),
    )
    save("plain.png", GREY if grey else RGB)
    run_cli(
        "pool",
        "plain.png",
        "--size",
        "3",
        "--stride",
        "1",
        "--padding",
        "same",
        *("-o", "plain-out.png"),
    )
    with Image.open(f"out.{output}") as image, Image.open("plain-out.png") as plain:
        assert np.array_equal(np.asarray(image.convert("RGBA"))[:, :, 3], ALPHA)
        expected = np.asarray(plain.convert("RGB"))
        assert np.array_equal(np.asarray(image.convert("RGBA"))[:, :, :3], expected)
    run_cli("pad", f"out.{output}", "--padding", "0", "--as-values", "-o", "v.npy")


@pytest.mark.parametrize("output", ["png", "tif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opaque_alpha_is_kept_too(mode: str, output: str) -> None:
    # So that all frames of a batch have the same channels.
    colour = RGB if mode == "RGBA" else GREY
    save("in.png", np.dstack([colour, np.full_like(ALPHA, 255)]))
    run_cli("pad", "in.png", "--padding", "0", "--alpha", "keep", "-o", f"out.{output}")
    with Image.open(f"out.{output}") as image:
        assert image.mode == mode and np.array_equal(image, pixels("in.png"))


@pytest.mark.parametrize("output", ["png", "tif"])
def test_sixteen_bit_alpha_is_kept_with_all_its_bits(output: str) -> None:
    rgba = np.dstack([DEEP, ALPHA.astype(np.uint16) * 250 + 7])
    Path("in.png").write_bytes(deep_png(rgba))
    kept = "--padding", "0", "--alpha", "keep"
    said = run_cli("pad", "in.png", *kept, "-o", f"out.{output}").stderr
    got = read_bytes(Path(f"out.{output}").read_bytes(), ReadOptions(alpha="keep"))
    assert np.array_equal(got.pixels[0], DEEP)
    assert "16-bit RGB with transparency" in said
    alpha = got.photo_metadata.alpha
    assert alpha is not None and np.array_equal(alpha, rgba[:, :, 3])


@pytest.mark.parametrize(
    "words",
    [
        ("pool", "-o", "out.png"),
        ("conv", "-f", "edge", "-o", "out.jpg"),
        ("conv", "-f", "edge", "-o", "out.npy"),
        ("conv", "-f", "edge", "-f", "sharpen", "-o", "out.png"),
        ("conv", "-f", "edge", "-o", "out.tif", "--depth", "float"),
    ],
)
def test_alpha_that_cannot_be_kept_is_refused(words: tuple[str, ...]) -> None:
    save("in.png", np.dstack([RGB, ALPHA]))
    error = refused(words[0], "in.png", *words[1:], "--alpha", "keep", code=2)
    assert "--alpha keep needs one picture of the image's size" in error and "flatten" in error
    save("opaque.png", np.dstack([RGB, np.full_like(ALPHA, 255)]))
    run_cli(words[0], "opaque.png", *words[1:], "--alpha", "keep")


@pytest.mark.parametrize("output", ["png", "tif"])
def test_sixteen_bits_in_are_sixteen_bits_out(output: str) -> None:
    Path("in.png").write_bytes(deep_png())
    run_cli("pad", "in.png", "--padding", "0", "-o", f"out.{output}", "--compress", "small")
    picture = read_bytes(Path(f"out.{output}").read_bytes(), ReadOptions())
    assert picture.pixels.dtype == np.uint16 and np.array_equal(picture.pixels[0], DEEP)
    values = values_of("pad", f"out.{output}", "--padding", "0", "--as-values")
    assert np.allclose(values, DEEP / 65_535, atol=1e-6)


@pytest.mark.parametrize(
    "words",
    [
        ("-f", "edge", "-o", "out.png", "--depth", "8"),
        ("-f", "edge", "-o", "out.png", "--range", "minmax"),
        ("-f", "edge", "-o", "out.jpg"),
        ("-f", "edge", "--gray", "--colormap", "magma", "-o", "out.png"),
    ],
)
def test_other_results_have_eight_bits(words: tuple[str, ...]) -> None:
    Path("in.png").write_bytes(deep_png())
    result = run_cli("conv", "in.png", *words, "--json")
    assert json.loads(result.stdout)["output"] == words[words.index("-o") + 1]
    with Image.open(words[words.index("-o") + 1]) as image:
        assert image.mode in ("RGB", "L")
    assert read_bytes(Path(image.filename).read_bytes(), ReadOptions()).pixels.dtype == np.uint8


def test_sixteen_bit_grey_stays_sixteen_bits_through_transparency_and_gray() -> None:
    Path("in.png").write_bytes(deep_png(np.dstack([DEEP, ALPHA.astype(np.uint16) * 257])))
    run_cli("conv", "in.png", "-f", "edge", "--gray", "-o", "out.png")
    with Image.open("out.png") as image:
        assert image.mode == "I;16"


@pytest.mark.parametrize("output", ["jpg", "webp", "bmp", "gif"])
def test_the_low_bits_that_a_format_cannot_hold_are_said_once(output: str) -> None:
    for name in ("one.png", "two.png"):
        Path(name).write_bytes(deep_png())
    said = run_cli("pad", "one.png", "two.png", "--padding", "0", "-o", "{stem}." + output).stderr
    note = f"16-bit picture written with 8 bits as {output} (png and tif keep 16)"
    assert said.count(note) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "out.png"),
        ("-o", "out.tif"),
        ("-o", "out.npy"),
        ("-o", "out.jpg", "--depth", "8"),
        ("-o", "out.jpg", "--range", "minmax"),
    ],
)
def test_bits_that_are_kept_or_not_asked_for_are_not_noted(words: tuple[str, ...]) -> None:
    Path("in.png").write_bytes(deep_png())
    assert "8 bits" not in run_cli("conv", "in.png", "-f", "edge", *words).stderr


def test_levels_of_twelve_bits_become_a_picture_of_sixteen() -> None:
    packed = np.packbits(
        (GREY.astype(np.uint16)[:, :, None] * 16 + 5 >> np.arange(11, -1, -1) & 1).astype(np.uint8)
    )
    Path("in.tif").write_bytes(tiff(8, 6, (12,), 1, packed.tobytes()))
    run_cli("pad", "in.tif", "--padding", "0", "-o", "out.png")
    got = read_bytes(Path("out.png").read_bytes(), ReadOptions()).pixels[0, :, :, 0]
    assert got.dtype == np.uint16
    assert np.array_equal(got, np.rint((GREY * 16.0 + 5) / 4095 * 65_535))
