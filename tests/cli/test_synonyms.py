"""Options, values and commands of other tools are answered with ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image

from cnncli.cli import COMMANDS as OUR_COMMANDS
from cnncli.cli import cli
from cnncli.cli.synonyms import COMMANDS, OPTIONS, SPELLED_OUT, VALUES
from tests.support.shell import refused, run_cli, save, values_of

ANSWERS = [
    ("conv a.png --kernel edge", "'--kernel'. Did you mean --filter?"),
    ("conv a.png -kernel edge", "'-kernel'. Did you mean --filter?"),
    ("conv a.png --kernel-size 3", "Did you mean --filter?"),
    ("pool a.png --kernel-size 3", "Did you mean --size?"),
    ("pool a.png --kernel 2", "'--kernel'. Use --size N."),
    ("pool a.png --f 2", "'--f'. Use --size N."),
    ("explain a.png --kernel edge", "Did you mean --filter?"),
    ("pool a.png -o a.npy -o b.npy", "--output must be given once, got it several times."),
    ("conv a.png --pad 1", "'--pad'. Did you mean --padding?"),
    ("conv a.png -virtual-pixel edge", "'-virtual-pixel'. Did you mean --pad-mode?"),
    ("conv a.png --borderType 4", "'--borderType'. Did you mean --pad-mode?"),
    ("pool a.png --poolSize 2", "Did you mean --size?"),
    ("conv a.png --blur 3", "'--blur'. Use --filter gaussian."),
    ("conv a.png -quality 80", "No such option '-quality'. Use --compress small for smaller files"),
    ("pool a.png -resize 50%", "No such option '-resize'. Pictures are resized for networks only"),
    ("conv a.png -resize 50%", "cnncli pool --mode average --size N makes them N times smaller."),
    ("run n.toml a.png -resize 50x50", "No such option '-resize'. Did you mean --size?"),
    ("conv a.png", "Missing option '--filter': File, built-in name, gaussian:2.5"),
    ("pad a.png", "Missing option '--padding': Border: N, H,W or TOP,BOTTOM,LEFT,RIGHT"),
    ("conv a.png -f edge --padding reflect", "Did you mean --pad-mode reflect?"),
    ("help", "No such command 'help'. Did you mean --help?"),
    ("conv a.png -negate", "No such option '-negate'."),
    ("plan n.toml --layer c", "Did you mean --until?"),
    ("grad n.toml a.png --layer c", "Did you mean --unit?"),
    ("conv a.png --map 3", "Use -o '{stem}-{map}.png' for a file of each map."),
    ("compare a.png b.png --map 3", "It is an option of cnncli explain."),
    ("conv a.png \N{EN DASH}stride 2", "'\N{EN DASH}stride'. Did you mean '--stride'?"),
    ("conv a.png \N{EM DASH}stride=2", "'\N{EM DASH}stride'. Did you mean '--stride'?"),
    ("conv a.png \N{EN DASH}f edge", "'\N{EN DASH}f'. Did you mean '-f'?"),
    ("conv a.png --layer c", "It is an option of cnncli run and cnncli explain."),
    ("conv a.png -f edge --sigma 2", "'--sigma'. Use --filter gaussian:SIGMA."),
    ("conv a.png --gaussian-blur 3", "Use --filter gaussian:SIGMA."),
    ("conv a.png --sigmaX 3", "'--sigmaX'. Use --filter gaussian:SIGMA."),
    ("conv a.png --sharpen 1", "Use --filter sharpen."),
    (
        "conv a.png --labels names.txt",
        "Use --no-labels to leave the names of maps out. Names of cl",
    ),
    (
        "run n.toml a.png --labels",
        "needs a value: FILE. Names of a classifier's classes, one a line.",
    ),
    ("conv a.png --filter", "Option '--filter' needs a value: FILTER. File, built-in name, "),
    ("conv a.png -f edge -o", "Option '-o' needs a value: PATH. File, folder/"),
    ("conv a.png -f edge --gray=1", "Option '--gray' does not take a value."),
    ("conv a.png --no-bias", "Leave --bias out."),
    ("pool a.png --kernel_shape 2", "Did you mean --size?"),
    ("run n.toml a.png --upto c", "Did you mean --until?"),
    ("run n.toml a.png --classes c.txt", "Did you mean --labels?"),
    ("run n.toml a.png --preprocess c", "Did you mean --prep?"),
    ("identify n.toml", "Did you mean plan?"),
    ("conv a.png --stride-h 2", "Use --stride H,W."),
    ("pool a.png --output-dir out", "Use -o FOLDER/."),
    ("pool a.png --pooling avg", "Did you mean --mode?"),
    ("explain a.png --pooling avg", "Did you mean --pool?"),
    ("pool a.png --count_include_pad", "Did you mean --count-include-pad?"),
    ("conv a.png --mode max", "It is an option of cnncli pool and cnncli grad."),
    ("plan a.toml --format png", "It is an option of cnncli pad, cnncli conv"),
    ("compare a.png b.png --eps 1", "Did you mean --tolerance?"),
    ("conv a.png --paddin 1", "Did you mean one of: '--pad-mode', '--padding'?"),
    ("conv a.png -f edge --pad-mode replicate", "Did you mean edge?"),
    ("conv a.png -f edge --pad-mode BORDER_REFLECT_101", "Did you mean reflect?"),
    ("conv a.png -f edge --padding SAME_LOWER", "Did you mean same-lower?"),
    ("conv a.png -f edge --padding 3x3", "got '3x3'. Did you mean 3,3?"),
    ("conv a.png -f edge --activation leaky_relu", "Did you mean leaky-relu?"),
    ("conv a.png -f edge --filter-layout pytorch", "Did you mean oihw?"),
    ("pool a.png --size 3x2", "Did you mean 3,2?"),
    ("plan a.toml --input 224,224,3", "Did you mean 224x224x3?"),
    ("maxpool a.png", "No such command 'maxpool'. Did you mean pool?"),
    ("conv a.png --plan", "Did you mean --dry-run?"),
    ("help conv", "conv --help?"),
    ("filters make nope", "laplacian, sharpen, unsharp, motion, random."),
    ("blur a.png", "Did you mean cnncli conv IMAGE --filter gaussian?"),
    ("sobel a.png", "Did you mean cnncli conv IMAGE --filter sobel_v?"),
    ("sharpen a.png", "Did you mean cnncli conv IMAGE --filter sharpen?"),
    ("convolve a.png", "Did you mean conv?"),
    ("magick a.png", "Did you mean conv?"),
    ("resize a.png", "Did you mean pool?"),
    ("filters make nope", "No such kind of filter 'nope'; there are identity, box, "),
    ("filters make gausian", "No such kind of filter 'gausian'; nearest: gaussian"),
    ("filters make blur", "No such kind of filter 'blur'; nearest: gaussian"),
    ("photo.png", "Did you mean cnncli conv photo.png --filter edge?"),
    ("edge photo.png", "Did you mean cnncli conv IMAGE --filter edge?"),
    ("filters lst", "Did you mean list?"),
    ("run n.toml a.png --normalize", "'--normalize'. Use --prep imagenet, or --mean and --std."),
    ("pool a.png -normalize", "'-normalize'. Did you mean --range?"),
    ("conv a.png --normalise", "Did you mean --normalize?"),
    ("run n.toml a.png --prep torchvision", "Did you mean imagenet?"),
    ("run n.toml a.png --prep keras", "Did you mean imagenet-tf?"),
    ("pool a.png --mode AvgPool2d", "Did you mean average?"),
    ("pool a.png --mode MaxPool2d", "Did you mean max?"),
    ("pool a.png --mode avg2", "Did you mean average?"),
    ("pool a.png --mode maxpool3d", "Did you mean max?"),
    ("run n.toml a.png --prep torchvison", "Did you mean imagenet?"),
    ("conv a.png -f edge --pad-mode replicat", "Did you mean edge?"),
    ("conv a.png -f edge --depth int8", "Did you mean 8?"),
    ("conv a.png -f edge --padding same_upp", "Did you mean same?"),
    ("conv a.png --in_channels 3", "'--in_channels'. The --filter has them: its file is (kh,kw)"),
    ("conv a.png --out_channels 3", "The --filter has them"),
    ("conv a.png --in-channels 3", "The --filter has them"),
    ("convert a.png -blur 0x2 b.png", "conv filters pictures, --filter gaussian:2 blurs."),
    ("conv a.png -f edge -s 2", "'-s'. Did you mean --stride?"),
    ("pool a.png -s 3", "'-s'. Did you mean --size or --stride?"),
    ("conv a.png -f edge -p 1", "'-p'. Did you mean --padding?"),
    ("pool a.png -p 1", "'-p'. Did you mean --padding or --p?"),
    ("explain a.png -p max", "'-p'. Did you mean --padding or --pool or --p?"),
    ("run -n n.onnx a.png", "Did you mean --dry-run? NETWORK needs no option: "),
    ("conv a.png -f edge -n", "'-n'. Did you mean --dry-run?"),
    ("run n.toml a.png --prep imagnet", "Did you mean imagenet?"),
    ("conv a.png -f edge --pad-mode reflekt", "Did you mean reflect?"),
    ("conv a.png -f edge --padding sames", "Did you mean same?"),
    ("conv a.png -f edge --activation leaky-relu --alpha 0.2", "'keep'. The slope of leaky-relu "),
    ("conv a.png -f edge --alpha drop", "'drop' is not one of 'flatten', 'keep'."),
    ("conv a.png -f edge --range syme", "Did you mean symmetric?"),
    ("convert a.png -resize 50% b.png", "cnncli convert is for networks"),
]


@pytest.mark.parametrize(("words", "answer"), ANSWERS, ids=[words for words, _ in ANSWERS])
def test_words_of_other_tools_are_answered_with_ours(words: str, answer: str) -> None:
    assert answer in refused(*words.split(), code=2).splitlines()[0]


def test_an_output_in_the_place_of_an_image_is_noted(empty_folder: object) -> None:
    save("a.png", np.zeros((4, 4), np.uint8))
    said = run_cli("pool", "a.png", "out.png", code=1).stderr
    assert said.startswith("note: 'out.png' does not exist; -o names the output\n")
    save("a-pool.png", np.zeros((2, 2), np.uint8))
    said = run_cli("pool", "a.png", "out.png", code=1).stderr
    assert said.startswith("note: 'out.png' does not exist; -o names the output\n")
    save("b.png", np.zeros((4, 4), np.uint8))
    assert "names the output" not in run_cli("pool", "a.png", "b.png", "--overwrite").stderr


@pytest.mark.parametrize(
    ("words", "option", "count", "use"),
    [
        ("run n.toml a.png --mean 0.485 0.456 0.406", "--mean", 3, "--mean 0.485,0.456,0.406"),
        ("run n.toml a.png --std .2 .3 -o b.png", "--std", 2, "--std .2,.3"),
        ("pool a.png --size 2 2", "--size", 2, "--size 2,2"),
        ("pad a.png --padding 1 2 3 4", "--padding", 4, "--padding 1,2,3,4"),
        ("compare a.png -f edge --stride 2 2", "--stride", 2, "--stride 2,2"),
        ("explain a.png -f edge --at 3, 4", "--at", 2, "--at 3,4"),
        ("plan n.toml --input 8 8 3", "--input", 3, "--input 8x8x3"),
    ],
)
def test_numbers_of_an_option_that_are_parted_by_spaces(
    words: str, option: str, count: int, use: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save("a.png", np.zeros((4, 4), np.uint8))
    Path("n.toml").write_text('[[layers]]\ntype = "pool"\n')
    before = sorted(tmp_path.iterdir())
    error, hint = refused(*words.split(), code=2).splitlines()
    numbers = f"the numbers of {option} must be one text, got {count} words"
    assert error == f"cnncli: error: {numbers}"
    assert hint == f"hint: write them without spaces: {use}"
    # Nothing is made of the images that there are: the option is not what was meant.
    assert sorted(tmp_path.iterdir()) == before


def test_files_whose_names_are_numbers_are_images(empty_folder: object) -> None:
    save("2.png", np.full((4, 4), 51, np.uint8)).rename("2")
    assert values_of("pool", "2").max() == pytest.approx(0.2)


@pytest.mark.parametrize("word", ["avg", "mean"])
def test_pooling_by_its_short_name_is_average(word: str, empty_folder: object) -> None:
    save("a.png", np.arange(16, dtype=np.uint8).reshape(4, 4) * 10)
    asked = values_of("pool", "a.png", "--mode", word)
    np.testing.assert_array_equal(asked, values_of("pool", "a.png", "--mode", "average"))


def test_grey_is_spelt_either_way(empty_folder: object) -> None:
    save("a.png", np.arange(16, dtype=np.uint8).reshape(4, 4) * 10)
    for command in (["conv", "a.png", "-f", "edge"], ["filters", "show", "edge"]):
        pixels = []
        for word in ("gray", "grey"):
            run_cli(*command, "--colormap", word, "-o", "out.png", "--overwrite")
            pixels.append(np.asarray(Image.open("out.png")))
        np.testing.assert_array_equal(*pixels)


def test_names_of_paddings_are_taken_in_capitals(empty_folder: object) -> None:
    save("a.png", np.arange(16, dtype=np.uint8).reshape(4, 4) * 10)
    asked = values_of("conv", "a.png", "--filter", "edge", "--padding", "VALID")
    wanted = values_of("conv", "a.png", "--filter", "edge", "--padding", "valid")
    np.testing.assert_array_equal(asked, wanted)


def test_the_tables_lead_to_what_there_is() -> None:
    context = click.Context(cli)
    params: list[Any] = []
    for name in OUR_COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        params += command.params
    flags = {flag for param in params for flag in (*param.opts, *param.secondary_opts)}
    assert {f"--{name}" for name in OPTIONS} - flags == {"--help"}
    uses = {word.rstrip(".") for text in SPELLED_OUT.values() for word in text.split()}
    assert {word for word in uses if word.startswith("-")} <= flags
    choices = {
        choice
        for param in params
        for choice in (*getattr(param.type, "choices", ()), *getattr(param.type, "words", ()))
    }
    assert set(VALUES) <= choices
    assert set(COMMANDS) == set(OUR_COMMANDS)
