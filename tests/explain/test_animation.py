"""``cnncli explain -o steps.gif``: frames, their places, the colours of cells, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from cnncli.core.conv import conv_forward
from cnncli.explain.animation.captions import captions
from cnncli.explain.animation.cells import LEAST_TEXT, TINTS, CellStyle
from cnncli.explain.animation.draw import draw_frames, layout_frames
from cnncli.explain.animation.encode import PALETTE, encode_animation, indexed
from cnncli.explain.animation.frames import Animation, FrameOptions, plan_animation
from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.text.panels import ColourScale, NumberFormat, ink_on
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.network.layers import ConvLayer, Layer, PadLayer, PoolLayer
from cnncli.render.colormaps import apply
from cnncli.render.grey_levels import choose_range
from cnncli.render.options import MapGroup
from cnncli.render.text import label_font
from tests.support.levels import to_levels
from tests.support.netfiles import layer as layer_table
from tests.support.shell import refused_untouched, run_cli, save, save_array, values_of
from tests.support.sweep import sweep

pytestmark = pytest.mark.usefixtures("empty_folder")

RNG = np.random.default_rng(5)
DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits.toml"
SEVEN = DIGITS.parent / "digits" / "7.png"


@pytest.fixture
def photo(empty_folder: Path) -> Path:
    """A small grey photograph."""
    return save("photo.png", RNG.integers(0, 256, (14, 17), np.uint8))


def report_of(*args: object) -> dict[str, Any]:
    """Run ``explain --json`` and return its report."""
    done: dict[str, Any] = json.loads(run_cli("explain", *args, "--json").stdout)
    return done


def colours(path: str | Path) -> np.ndarray:
    """Return the first frame of a picture."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def frames_of(path: str | Path) -> tuple[list[np.ndarray], list[int]]:
    """Return the frames of an animation and how long each is seen."""
    with Image.open(path) as animation:
        seen = [
            (np.asarray(frame.convert("RGB")), round(frame.info["duration"]))
            for frame in ImageSequence.Iterator(animation)
        ]
    return [pixels for pixels, _ in seen], [time for _, time in seen]


def subject_of(layer: Layer, values: np.ndarray) -> ExplainedLayer:
    """Return a layer on an array, each of its channels a map."""
    given = array_input(values)
    count = layer.output_shape(given.shape)[3]
    groups = tuple(MapGroup(str(c), (c,)) for c in range(count))
    return ExplainedLayer("layer1", layer, (given,), groups, np.dtype(float))


def middle_colours(picture: np.ndarray, animation: Animation) -> np.ndarray:
    """Return the colour at the upper left of each output cell, where no letter and no line is."""
    spot = layout_frames(animation).outputs[0][2]
    rows, cols = len(animation.rows.outputs), len(animation.cols.outputs)
    corners = [[spot.box(r, c)[:2] for c in range(cols)] for r in range(rows)]
    return np.array([[picture[y + 4, x + 4] for x, y in row] for row in corners])


@pytest.mark.parametrize("suffix", sweep(["gif", "webp", "png"], keep=1))
def test_an_animation_has_a_frame_for_each_place(photo: Path, suffix: str) -> None:
    name = f"steps.{suffix}"
    report = report_of(
        photo, "--filter", "edge", "--at", "7,8", "--cells", 5, "--fps", 4, "-o", name
    )
    assert report["frames"] == [[r, c] for r in range(6, 9) for c in range(7, 10)]
    pictures, durations = frames_of(name)
    assert len(pictures) == 9 and durations == [250] * 8 + [1500] == report["durations"]
    assert {each.shape for each in pictures} == {(*report["size"], 3)}
    assert report["bytes"] == Path(name).stat().st_size


@pytest.mark.parametrize("name", ["out/", "out/{frame:03d}.png"])
def test_a_folder_or_a_template_gets_a_picture_for_each_frame(photo: Path, name: str) -> None:
    report = report_of(photo, "--filter", "edge", "--cells", 4, "-o", name)
    assert report["outputs"] == [f"out/{k:03d}.png" for k in range(4)]
    run_cli("explain", photo, "--filter", "edge", "--cells", 4, "-o", "steps.png")
    for path, frame in zip(report["outputs"], frames_of("steps.png")[0], strict=True):
        np.testing.assert_array_equal(colours(path), frame)


def test_places_follow_the_stride_and_stay_inside(photo: Path) -> None:
    given = (photo, "--filter", "edge", "--stride", "2,3", "--padding", "valid", "--cells", 7)
    corner = report_of(*given, "--at", "0,0", "-o", "a.gif")["frames"]
    assert corner == [[r, c] for r in range(3) for c in range(2)]
    end = report_of(*given, "--at", "5,4", "-o", "b.gif")["frames"]
    assert end == [[r, c] for r in range(3, 6) for c in range(3, 5)]


@pytest.mark.parametrize("pad_mode", ["zeros", "reflect", "wrap"])
def test_the_cells_shown_are_those_of_the_padded_input(pad_mode: str) -> None:
    values = RNG.normal(size=(1, 9, 8, 1))
    layer = ConvLayer(load_filter("1 2 3; 4 5 6; 7 8 9"), pad_mode=pad_mode, stride=2)
    animation = plan_animation(subject_of(layer, values), (0, 0), FrameOptions(cells=6))
    border = {"zeros": "constant"}.get(pad_mode, pad_mode)
    padded = np.pad(values[0, :, :, 0], 1, mode=border)  # type: ignore[call-overload]
    begins = [span.window.axis.begin for span in (animation.rows, animation.cols)]
    first = [1 - begin for begin in begins]
    rows, cols = animation.channels[0].crop.shape
    assert (rows, cols) == (6, 6)
    shown = ~animation.unread
    expected = padded[first[0] : first[0] + rows, first[1] : first[1] + cols]
    np.testing.assert_array_equal(animation.channels[0].crop[shown], expected[shown])
    assert animation.padding[0].all() if begins[0] else not animation.padding[0, begins[1] :].any()


def test_padding_that_no_window_reads_is_left_empty() -> None:
    layer = ConvLayer(load_filter("1"), padding=3, stride=2)
    animation = plan_animation(
        subject_of(layer, np.ones((1, 4, 4, 1))), (0, 0), FrameOptions(cells=4)
    )
    assert animation.rows.window.cells == (-3, -2, -1, 0)
    assert animation.rows.unread == (False, True, False, False)


@pytest.mark.parametrize(("suffix", "least"), sweep([".gif", ".webp", ".png"], [-1.0, 0.0], keep=2))
def test_output_cells_have_the_colours_of_the_rendered_output(suffix: str, least: float) -> None:
    values = RNG.uniform(least, 1, (1, 8, 9, 1))
    weights = RNG.uniform(0.1, 1, (3, 3))
    text = "; ".join(" ".join(map(repr, row)) for row in weights.tolist())
    layer = ConvLayer(load_filter(text), padding="valid", activation="none" if least else "sigmoid")
    animation = plan_animation(subject_of(layer, values), (2, 3), FrameOptions(cells=5))
    frames = list(draw_frames(animation, layout_frames(animation)))
    Path(f"a{suffix}").write_bytes(encode_animation(frames, [100] * len(frames), suffix))
    pictures, _ = frames_of(f"a{suffix}")
    bank = weights[:, :, None, None]
    Z, _ = conv_forward(values, bank, np.zeros((1, 1, 1, 1)), {"stride": 1, "pad": 0})
    Z = Z if least else 1 / (1 + np.exp(-Z))
    rows, cols = animation.rows.outputs, animation.cols.outputs
    part = Z[0, rows.start : rows.stop, cols.start : cols.stop, 0]
    assert (part.min() < 0) == (least < 0)
    mapping = choose_range(part, "symmetric" if least else "clip", False)
    expected = apply(to_levels(part, mapping), "diverging" if least else "gray")
    expected = expected if expected.ndim == 3 else np.repeat(expected[:, :, None], 3, axis=2)
    # The last cell carries the mark of the place.
    last = middle_colours(pictures[-1], animation).reshape(-1, 3)
    np.testing.assert_array_equal(last[:-1], expected.reshape(-1, 3)[:-1])
    empty = middle_colours(pictures[0], animation).reshape(-1, 3)[1:]
    assert len(np.unique(empty, axis=0)) == 1


def test_at_most_so_many_frames_around_the_place(photo: Path) -> None:
    report = report_of(photo, "--filter", "edge", "--at", "7,8", "--frames", 6, "-o", "a.gif")
    assert len(report["frames"]) == 6 and [7, 8] in report["frames"]
    assert any("6 of 25 positions are shown" in note for note in report["notes"])
    assert len(frames_of("a.gif")[0]) == 6


@pytest.mark.parametrize("count", [2, 3, 5, 7, 23])
def test_as_many_frames_as_may_be_shown(count: int) -> None:
    subject = subject_of(ConvLayer(load_filter("edge")), RNG.normal(size=(1, 20, 20, 1)))
    for at in ((0, 0), (9, 10), (19, 19)):
        made = plan_animation(subject, at, FrameOptions(most=count)).explanations
        # 5x5 positions are there at most: 7 of them cannot be shown as a rectangle, but 6 can.
        assert len(made) == {7: 6, 23: 20}.get(count, count)
        assert at in [one.at for one in made]


def test_the_report_names_one_row_as_one(photo: Path) -> None:
    given = ("explain", photo, "--filter", "edge", "--at", "7,8", "--frames", 3, "-o", "a.gif")
    said = run_cli(*given).stderr
    assert "3 frames of " in said and "row 7 and columns 7 to 9 of conv1" in said


def test_one_place_is_one_frame(photo: Path) -> None:
    for name in ("a.gif", "a.webp", "a.png"):
        report = report_of(photo, "--filter", "edge", "--at", "7,8", "--frames", 1, "-o", name)
        assert report["frames"] == [[7, 8]]
        assert colours(name).shape == (*report["size"], 3)


@pytest.mark.parametrize("suffix", sweep(["gif", "webp", "png"], keep=1))
def test_equal_commands_give_equal_bytes(photo: Path, suffix: str) -> None:
    for name in ("a", "b"):
        run_cli("explain", photo, "--pool", "max", "--frames", 2, "-o", f"{name}.{suffix}")
    assert Path(f"a.{suffix}").read_bytes() == Path(f"b.{suffix}").read_bytes()


@pytest.mark.parametrize(
    "given",
    sweep(
        [
            ("--pool", "average", "--size", "2,3", "--ceil"),
            ("--filter", "sobel_h", "--dilation", 2, "--activation", "relu"),
            ("--pool", "max", "--size", 3, "--stride", 1, "--padding", 1),
            ("--pool", "lp", "--dilation", 2),
            ("--filter", "gaussian_15"),
        ],
        keep=2,
    ),
)
def test_layers_of_all_kinds_are_shown(photo: Path, given: tuple[object, ...]) -> None:
    report = report_of(photo, *given, "--at", "3,3", "--frames", 3, "-o", "a.gif")
    command = "pool" if given[0] == "--pool" else "conv"
    options = ["--mode", *given[1:]] if command == "pool" else list(given)
    shape = values_of(command, photo, *options).shape
    assert all(r < shape[0] and c < shape[1] for r, c in report["frames"])
    assert len(frames_of("a.gif")[0]) == len(report["frames"]) > 1


def test_a_layer_of_a_network_and_its_strongest_channels() -> None:
    given = (DIGITS, SEVEN, "--layer", "conv2", "--map", 7, "--at", "4,5", "--frames", 2)
    report = report_of(*given, "-o", "net.gif")
    assert (report["layer"], report["map"]) == ("conv2", 7)
    assert any("3 of 8 input channels are shown" in note for note in report["notes"])


def test_the_channels_of_a_photograph_stand_below_each_other() -> None:
    save("colour.png", RNG.integers(0, 256, (12, 12, 3), np.uint8))
    report = report_of(
        "colour.png", "--filter", "edge", "--at", "5,5", "--frames", 2, "-o", "a.gif"
    )
    assert len(report["frames"]) == 2
    values = RNG.uniform(size=(1, 9, 9, 3))
    layer = ConvLayer(load_filter("1 2; 3 4"))
    subject = subject_of(layer, values)
    both = ExplainedLayer("c", layer, subject.inputs, (MapGroup("m", (0, 1, 2)),), np.dtype(float))
    plan = layout_frames(plan_animation(both, (4, 4), FrameOptions()))
    (_, _, first), (_, _, second), _ = plan.outputs
    assert first.left == second.left and second.top > first.top


@pytest.mark.parametrize(("scale", "cells"), sweep([1.0, 1e3, 1e-7, 1e12], [5, 20, 40, 64]))
def test_numbers_fit_their_cells_or_are_left_out(scale: float, cells: int) -> None:
    values = RNG.normal(size=(1, 70, 70, 1)) * scale
    layer = ConvLayer(load_filter("0.1 2 -3; 1 1 1; 4 5 6"))
    animation = plan_animation(
        subject_of(layer, values), (30, 30), FrameOptions(cells=cells, most=4)
    )
    plan = layout_frames(animation)
    assert plan.font == 0 or plan.font >= LEAST_TEXT
    assert plan.width <= 2800
    for style in plan.styles[0]:
        texts = [style.form.write(float(v)).strip() for v in animation.channels[0].crop.ravel()]
        if plan.font and style is plan.styles[0][0]:
            assert (
                max(label_font(plan.font).getlength(text) for text in texts) < plan.inputs[0].cell
            )


def test_a_photographs_numbers_have_their_digits_and_all_products_are_written() -> None:
    subject = subject_of(ConvLayer(load_filter("edge")), RNG.uniform(size=(1, 9, 9, 3)))
    groups = (MapGroup("m", (0, 1, 2)),)
    both = ExplainedLayer("c", subject.layer, subject.inputs, groups, np.dtype(float))
    animation = plan_animation(both, (4, 4), FrameOptions())
    plan = layout_frames(animation)
    largest = max(abs(step.fast) for one in animation.explanations for step in one.steps)
    assert 1 < largest < 10
    assert [styles[2].form.decimals for styles in plan.styles] == [2, 2, 2]
    written = " ".join(text for _, text in captions(animation, 504)[0])
    assert "more products" not in written and written.count(" x ") == 27


def test_numbers_on_pure_colours_are_black_only_on_light_ones() -> None:
    style = CellStyle(ColourScale((0.0, 1.0), "gray"), NumberFormat(2, 4), TINTS["green"])
    inks = [style.ink(style.fill(value)) for value in (0.3, 0.56, 0.73, 1.0)]
    assert inks == [(255, 255, 255), (255, 255, 255), (0, 0, 0), (0, 0, 0)]


def test_letters_stand_out_on_every_colour() -> None:
    def luminance(colour: np.ndarray) -> float:
        part = colour / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for name in ("gray", "diverging"):
        for ground in apply(np.arange(256, dtype=np.uint8)[None], name)[0]:
            red, green, blue = np.broadcast_to(ground, 3).tolist()
            one, two = (
                luminance(np.array(c)) for c in (ink_on((red, green, blue)), (red, green, blue))
            )
            assert (max(one, two) + 0.05) / (min(one, two) + 0.05) >= 4.5


@pytest.mark.slow
def test_values_that_are_not_finite_are_shown() -> None:
    values = np.ones((1, 6, 6, 1))
    values[0, 2, 2] = np.nan
    values[0, 3, 4] = -np.inf
    for layer in (ConvLayer(load_filter("edge")), PoolLayer(), PadLayer(1)):
        with np.errstate(all="ignore"):
            animation = plan_animation(subject_of(layer, values), (1, 1), FrameOptions())
        assert sum(1 for _ in draw_frames(animation, layout_frames(animation))) == len(
            animation.explanations
        )


def test_a_palette_keeps_the_most_frequent_colours() -> None:
    frame = RNG.integers(0, 256, (40, 40, 3), np.uint8)
    frame[:20] = (1, 2, 3)
    (image,) = indexed([frame])
    seen = np.asarray(image.convert("RGB"))
    assert (seen[:20] == (1, 2, 3)).all()
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) <= PALETTE


def test_a_folder_that_is_to_be_made_changes_no_name(photo: Path) -> None:
    words = ["explain", photo, "-f", "edge", "--at", "1,1", "--frames", "2"]
    for _ in range(2):
        run_cli(*words, "-o", "new/{stem}-{frame:d}.png", "--overwrite")
    assert sorted(path.name for path in Path("new").iterdir()) == [
        f"{photo.stem}-{k}.png" for k in range(2)
    ]
    said = refused_untouched(*words, "-o", "other/{nope}-{frame}.png", code=2)
    assert "it has {nope}" in said and not Path("other").exists()


def test_frames_that_exist_stay(photo: Path) -> None:
    Path("steps.gif").write_text("mine")
    given = ("explain", photo, "--filter", "edge", "--frames", 4, "-o", "steps.gif")
    assert "exists already" in refused_untouched(*given)
    run_cli(*given, "--overwrite", "-q")
    assert len(frames_of("steps.gif")[0]) == 4
    Path("out").mkdir()
    Path("out/003.png").write_text("mine")
    assert "exists already" in refused_untouched("explain", photo, "--filter", "edge", "-o", "out")


def test_an_image_is_not_overwritten_by_its_frames(photo: Path) -> None:
    given = ("explain", photo, "--filter", "edge", "-o", photo, "--overwrite")
    assert "is one of the inputs" in refused_untouched(*given, code=2)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--cells", 2), "the window spans 3 cells, got 2"),
        (("--cells", 65), "--cells"),
        (("--frames", 0), "--frames"),
        (("--frames", 501), "--frames"),
        (("--fps", 0), "--fps"),
        (("--at", "14,0"), "rows of the output are 0 to 13"),
        (("--dilation", 40, "--padding", 60), "the window spans 81 cells"),
    ],
)
def test_settings_that_cannot_be_shown(photo: Path, more: tuple[object, ...], reason: str) -> None:
    said = refused_untouched("explain", photo, "--filter", "edge", *more, "-o", "a.gif", code=2)
    assert reason in said


def test_frames_need_memory_that_is_there(photo: Path) -> None:
    given = ("--filter", "edge", "--cells", 14, "--frames", 500, "-o", "a.gif")
    assert "of memory" in refused_untouched(
        "explain", photo, *given, "--max-memory", "100MB", code=1
    )


@pytest.mark.parametrize("output", [None, "page.html"])
def test_options_of_frames_are_for_frames(photo: Path, output: str | None) -> None:
    more = () if output is None else ("-o", output)
    said = refused_untouched("explain", photo, "--filter", "edge", "--fps", 3, *more, code=2)
    assert "--fps is for the frames of -o steps.gif" in said


def test_a_layer_without_a_window_has_no_frames() -> None:
    save_array("a.npy", RNG.normal(size=(6, 6, 1)))
    Path("net.toml").write_text(layer_table("activation", activation="relu"))
    said = refused_untouched("explain", "net.toml", "a.npy", "-o", "a.gif", code=2)
    assert "frames need a layer with a window" in said


def test_names_have_room_in_full() -> None:
    name = "a-very-long-name-of-a-filter-for-faces"
    layer = ConvLayer(from_array(RNG.normal(size=(3, 3)), name=name))
    subject = subject_of(layer, RNG.uniform(size=(1, 9, 9, 3)))
    groups = layer.output_groups([MapGroup("", (0, 1, 2))])
    both = ExplainedLayer("c", layer, subject.inputs, groups, np.dtype(float))
    animation = plan_animation(both, (4, 4), FrameOptions())
    plan = layout_frames(animation)
    steps = animation.explanations[0].steps
    assert all(name in step.name for step in steps)
    text = max(label_font(13).getlength(f"output, {step.name}") for step in steps)
    assert all(plan.width - grid.left >= text for _, _, grid in plan.outputs)
    assert plan.label_width - 6 >= max(label_font(11).getlength(step.name) for step in steps)


def test_one_negative_channel_gives_all_outputs_one_mapping() -> None:
    values = RNG.uniform(0.1, 1, (1, 9, 9, 3)) * [1, 1, -1]
    subject = subject_of(ConvLayer(load_filter("1 1")), values)
    groups = (MapGroup("m", (0, 1, 2)),)
    both = ExplainedLayer("c", subject.layer, subject.inputs, groups, np.dtype(float))
    plan = layout_frames(plan_animation(both, (4, 4), FrameOptions()))
    assert {styles[2].colours.map for styles in plan.styles} == {"diverging"}
    assert {styles[2].fill(0.0) for styles in plan.styles} == {(245, 245, 245)}
