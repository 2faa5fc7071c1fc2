"""First mistakes of a newcomer: each error says what was got, and its hint what to write."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cnncli.cli import cli
from tests.support.shell import refused, refused_untouched, run_cli, save
from tests.support.terminal import in_terminal

PHOTO = np.random.default_rng(9).integers(0, 256, (12, 20, 3), np.uint8)
LAYERS = """
[[layers]]
name = "first"
type = "conv"
filter = "w.npz:W"
[[layers]]
type = "pool"
"""
DENSE = """
[[layers]]
type = "conv"
filter = "w.npz:W"
[[layers]]
type = "dense"
filter = "w.npz:{0}"
name = "fc"
"""
POINT = "decimals have a point: 0.5"
QUOTES = "put them in quotes, rows end with ;: "
NO_IMAGE = "'{0}' is no IMAGE"
ONE_NETWORK = "plan takes one NETWORK and no other argument, got "
NO_FOLDER = "'no/x.{0}': its folder 'no' does not exist"

CALLS = [
    # the call; exit code; the error's beginning; the hint's
    ("run net.toml a.png --mean .5,.5", 2, "--mean must hold 1 value or 3, one for each", ""),
    ("grad net.toml a.png --unit first --std 1,2", 2, "--std must hold 1 value or 3", ""),
    ("run scaled.toml a.png --mean .5,.5", 2, "--mean and std must have the same length",
     "std stands in [input] of the network file"),
    ("run pool.toml a.png --mean .5,.5", 2, "'a.png': scale, mean and std of the input: --me", ""),
    ("conv a.png -f a.png", 1, "'a.png': not a filter, which must be", "'cnncli filters list'"),
    ("conv a.png -f w.npz", 2, "'w.npz': one of its 4 arrays must be named", "write 'w.npz:KEY'"),
    ("conv a.png -f k.npy:a", 2, "'k.npy:a': a key, 'a', is for .npz", "without it: --filter k.n"),
    ("conv a.png -f 0 1", 2, "the numbers of -f must be one text, got 2 words", QUOTES),
    ("conv a.png --filter 1 -2 3 -4", 2, "the numbers of", f'{QUOTES}--filter "1 -2; 3 -4"'),
    ("explain a.png -f 0 -1 0 -1 5 -1", 2, "the numbers of -f", f'{QUOTES}-f "0 -1 0 -1 5 -1"'),
    ("plan net.toml a.png", 2, f"{ONE_NETWORK}'a.png'", "--image a.png"),
    ("plan a.png net.toml", 2, f"{ONE_NETWORK}'a.png'", "--image a.png"),
    ("plan net.toml 64 96 3", 2, f"{ONE_NETWORK}'64' '96' '3'", "--input 64x96x3"),
    ("plan net.toml pool.toml", 2, f"{ONE_NETWORK}'pool.toml'", "one network at a time"),
    ("explain a.png edge", 2, NO_IMAGE.format("edge"), "cnncli explain a.png -f edge"),
    ("explain a.png max", 2, NO_IMAGE.format("max"), "cnncli explain a.png --pool max"),
    ("grad a.png gaussian:2", 2, NO_IMAGE.format("gaussian:2"), "cnncli grad a.png -f gaussian:2"),
    ("conv a.png k.npy", 2, "--filter is missing", "if 'k.npy' is the filter: cnncli conv a.png -f "
     "k.npy"),
    ("conv a.png 'a;b.png'", 2, "Missing option '--filter'", ""),
    ("filters show edge 'foo (1).png'", 2, "show takes FILTER alone, got also 'foo (1).png'.", ""),
    ("conv a.png -f 5 -1", 2, "the numbers of -f", f'{QUOTES}-f "5 -1"'),
    ("conv a.png -f 0, -1, 2, 5", 2, "the numbers of -f", f'{QUOTES}-f "0 -1; 2 5"'),
    ("conv a.png '1 2; 3 4'", 2, NO_IMAGE.format("1 2; 3 4"), "cnncli conv a.png -f '1 2; 3 4'"),
    ("conv edge", 2, NO_IMAGE.format("edge"), "cnncli conv IMAGE -f edge"),
    ("explain a.png b.png -f edge", 2, "explain takes one NETWORK at most, and one IMAGE, got", ""),
    ("run net.tom a.png", 1, "'net.tom': a network file must end in", "there is 'net.toml'"),
    ("grad a.png --pool max --unit 0:0,3,3", 2, "the number of a lay", "--unit pool1:0,3,3"),
    ("run net.toml a.png --layer 0", 2, "the number of a layer must", "1 is first, 2 is pool1"),
    ("pool a.png max", 2, NO_IMAGE.format("max"), "cnncli pool a.png --mode max"),
    ("pool a.png avg", 2, NO_IMAGE.format("avg"), "cnncli pool a.png --mode average"),
    ("pad a.png 10", 2, NO_IMAGE.format("10"), "cnncli pad a.png --padding 10"),
    ("conv a.png -f gaussian 2", 2, NO_IMAGE.format("2"), "a filter's parameter follows a colon: "
     "-f gaussian:2"),
    ("conv edge a.png", 2, NO_IMAGE.format("edge"), "cnncli conv a.png -f edge"),
    ("run edge a.png", 2, "'edge' is no NETWORK", "one filter: cnncli conv a.png -f edge"),
    ("run net.toml a.png pool1", 2, NO_IMAGE.format("pool1"), "a layer: --layer pool1"),
    ("conv a.png -f sobel_v,sobel_h", 2, "'sobel_v,sobel_h': no such file and no such filter",
     "each by its own option: --filter sobel_v --filter sobel_h"),
    ("run a.png", 1, "'a.png': a network file must end in .toml or .onnx", "it is an IMAGE: NETW"),
    ("run k.npy a.png", 1, "'k.npy': a network file must end in", "it holds one array"),
    ("run w.npz a.png", 1, "'w.npz': a network file must end in", "it holds weights alone: a .to"),
    ("conv a.png empty/ -f edge", 1, "'empty/': a folder without images", "-o empty/ makes it"),
    ("conv a.png -f '[1 2; 3 4]'", 2, "the filter '[1 2; 3 4]': row 1", "without brackets: '1 2"),
    ("conv a.png -f edge --range 0 1", 2, "the numbers of --range must be one text, got 2 words",
     "write them without spaces: --range 0,1"),
    ("pool a.png --padding 1 -1", 2, "No such option '-1'. The numbers of an option are", ""),
    ("run net.toml --image a.png", 2, "No such option '--image'. IMAGE needs no option:", ""),
    ("run --model net.toml a.png", 2, "No such option '--model'. NETWORK needs no option", ""),
    ("plan net.toml 64 96 3 7", 2, f"{ONE_NETWORK}'64' '96' '3' '7'", "a size: --input HxWxC"),
    ("pool a.png --size '2 2'", 2, "Invalid value for '--size': must be N|H,W|global with whole "
     "numbers of 1 to 65535, got '2 2'. Did you mean 2,2?", ""),
    ("pool a.png --size ' 3 x 3'", 2, "Invalid value for '--size': must be N|H,W|global with whole "
     "numbers of 1 to 65535, got ' 3 x 3'. Did you mean 3,3?", ""),
    ("plan net.toml --input '32  32 3'", 2, "Invalid value for '--input': must be HxWxC or HxW with"
     " whole numbers of 1 to 65535, got '32  32 3'. Did you mean 32x32x3?", ""),
    ("pool a.png average 3", 2, NO_IMAGE.format("average"), "cnncli pool a.png --mode average"),
    ("conv a.png ';'", 2, "Missing option '--filter'", ""),
    ("plan net.toml 64", 2, f"{ONE_NETWORK}'64'", "--input 64x64x3"),
    ("grad net.toml a.png --unit first,0,3,3", 2, "no layer 'first,0,3,3'", "--unit first:0,3,3"),
    ("explain a.png", 2, "exactly one of --filter, --pool and NETWORK (.toml or .onnx) must be giv"
     "en, got none.", ""),
    ("filters list edge", 2, "list takes no argument, got also 'edge'.", ""),
    ("filters show edge box", 2, "show takes FILTER alone, got also 'box'.", ""),
    ("convert net.toml net.onnx", 2, "--output names the", "cnncli convert net.toml -o copy.toml"),
    ("convert net.toml -o no/x.toml", 1, NO_FOLDER.format("toml"), "make it first"),
    ("conv a.png -f edge -o no/x.png", 1, NO_FOLDER.format("png"), "make it first, or name"),
    ("filters export edge -o no/x.npy", 1, NO_FOLDER.format("npy"), "make it first, or name"),
    ("conv a.png -f edge -o {foo}.png", 2, "--output template must use {stem} {name} {dir} {op} {f"
     "ilter} {map} {ext} only", "{{ and }}"),
    ("run net.toml a.png -o {foo}.png", 2, "--output template must use {stem} {name} {dir} {op} {f"
     "ilter} {layer} {map} {ext} only", "{{ and }}"),
    ("conv a.png -f edge -o {filename}.png", 2, "--output template", "write {stem}; {{ and }} sta"),
    ("conv a.png -f edge -o {mapp}.png", 2, "--output template must use", "write {map}; {{ and }}"),
    ("explain a.png -f edge -o f{fram}.png", 2, "--output template must use {stem} {name} {dir} {op"
     "} {filter} {layer} {map} {ext} {frame} only", "write {frame}; {{ and }} stand for braces"),
    ("conv -- a.png -f edge", 2, NO_IMAGE.format("edge"), "cnncli conv a.png -f edge"),
    ("conv a.png -f gaussian2", 2, "'gaussian2': no such file and no such", "gaussian:2"),
    ("conv a.png -f gaussian_9", 2, "'gaussian_9': no such file and no such", "gaussian:size=9"),
    ("conv a.png -f box7", 2, "'box7': no such file and no such filter", "box:7"),
    ("grad net.toml a.png --unit 3", 2, "no layer '3' in the network", "--unit pool1:3"),
    ("grad net.toml a.png --unit '3, 0, 1'", 2, "no layer '3, 0, 1'", "--unit pool1:3,0,1"),
    ("grad net.toml a.png --unit 'first, 0, 3, 3'", 2, "no layer", "--unit first:0,3,3"),
    ("plan kernel.toml", 1, "'kernel.toml': layer conv1: no field 'kernel'; nearest: filter", ""),
    ("plan bare.toml", 1, "'bare.toml': not TOML: Inv", 'text needs quotes: filter = "edge"'),
    ("plan true.toml", 1, "'true.toml': not TOML: Invalid value (at l", "write flip = true"),
    ("run eight.toml a.png", 1, "'eight.toml': layer fc: its matrix takes 8 values, not ?x?x16",
     "8 is no multiple of 16 channels: no size fits"),
    ("run eight.toml a.png --size 8,8", 1, "'eight.toml': layer fc: its matrix takes 8 values, not "
     "8x8x16", "8 is no multiple of 16 channels: no size fits"),
    ("run sixteen.toml a.png", 2, "'a.png': layer fc: its matrix takes 16 values (1x1x16)",
     "one value a channel: a global pool before it may be missing"),
    ("conv a.png -f edge -o {index}.png", 2, "--output template", "write {stem} for the image, {m"),
    ("conv a.png -f edge -o w_%03d.png", 2, "--output has fields such as", "write 'w_{map:03d}"),
    ("explain a.png -f edge -o f%03d.png", 2, "--output has fields such as", "write 'f{frame:03d}"),
    ("explain a.png -f edge -o f{index}.png", 2, "--output template must", "write {frame}; {{ and"),
    ("grad net.toml a.png --unit first:0 --params g.npz", 2, "--params names a folder, got 'g.npz'",
     "--params g/"),
    ("pool w.npz", 1, "'w.npz': a zip archive such as .npz", "one of its arrays: np.save('x.npy'"),
    ("pool w.npz:W", 1, "'w.npz:W': cannot be read", "one of its arrays: np.save('x.npy', np.load('"
     "w.npz')['W'])"),
    ("conv a.png -f empty", 2, "'empty': a filter must be a file, got a folder", ""),
    ("conv a.png -f edges", 2, "'edges': a filter must be a file, got a folder; nearest built-in: e"
     "dge", ""),
    ("plan single.toml", 1, "'single.toml': at least one [[layers]] must be given", "layers stand i"
     "n double brackets"),
    ("plan comma.toml", 1, "'comma.toml': not TOML: Expected newline", "decimals have a point: bias"
     " = 0.5"),
    ("conv a.png -f gaussian:1,5", 2, "'gaussian:1,5': given twice: 's", "gaussian:1.5, or gaussi"),
    ("conv a.png -f gaussian:sigma=1,5", 2, "'gaussian:sig", "gaussian:sigma=1.5, or gaussian:"),
    ("conv a.png -f box:5,3", 2, "'box:5,3': given twice: 'size'", "box:5x3, or box:NAME=VALUE"),
    ("conv a.png -f gabor:8,30,2", 2, "'gabor:8,30,2': given twice", "gabor:WAVELENGTH, or gabor:"),
    ("conv a.png -f edge --bias 0,5", 2, "the bias '0,5': a bias must have 1 value, got 2", POINT),
    ("conv a.png -f edge -f box --bias 0,5,0,25", 2, "the bias '0,5,0,25': a bias must", POINT),
    ("run net.toml a.png --mean 0,485", 2, "--mean must hold 1 value or 3", POINT),
    ("run net.toml a.png --std 0,229", 2, "--std must not contain 0", POINT),
    ("pool a.png --mode lp --p 1,5", 2, "Invalid value for '--p': must be a number above 0, got '1,"
     "5'. Did you mean 1.5?", ""),
    ("explain a.png -f edge --fps 0,5", 2, "Invalid value for '--fps': must be a number of 0.1 to 5"
     "0, got '0,5'. Did you mean 0.5?", ""),
    ("conv a.png -f edge --max-memory 1,5GB", 2, "Invalid value for '--max-memory': must be a numbe"
     "r of bytes such as 500MB or 2GiB, got '1,5GB'. Did you mean 1.5GB?", ""),
    ("filters make gaussian --sigma 1,5 -o y.npy", 2, "Invalid value for '--sigma': must be a numbe"
     "r, got '1,5'. Did you mean 1.5?", ""),
    ("conv a.png -f edge -o=y.png", 2, "-o takes its value without =: -o y.png.", ""),
    ("conv a.png -f=edge", 2, "-f takes its value without =: -f edge.", ""),
    ("conv a.png -f edge -rqj=2", 2, "-rqj takes its value without =: -rqj 2.", ""),
    ("conv a.png -f edge '-qo=a b.png'", 2, "-qo takes its value without =: -qo 'a b.png'.", ""),
    ("filters export edge -o=y.npy", 2, "-o takes its value without =: -o y.npy.", ""),
    ("conv a.png -f edge -q=1", 2, "-q takes no value.", ""),
    ("conv a.png -f edge --bias 1 -f box --bias 2", 2, "--bias must be given once, got it several "
     "times. One for each filter: --bias \"0.1 0.2\".", ""),
]  # fmt: skip


@pytest.fixture(autouse=True)
def files(empty_folder: Path) -> None:
    save("a.png", PHOTO)
    save("b.png", PHOTO)
    save("grey.png", PHOTO[..., 0])
    np.save("k.npy", np.ones((3, 3)))
    Path("empty").mkdir()
    rng = np.random.default_rng(5)
    banks = {"W": (3, 3, 3, 16), "oihw": (6, 3, 3, 3), "eight": (4, 8), "sixteen": (4, 16)}
    np.savez("w.npz", **{name: rng.normal(size=shape) for name, shape in banks.items()})
    Path("net.toml").write_text(LAYERS)
    Path("scaled.toml").write_text("[input]\nstd = [1, 2, 3]\n" + LAYERS)
    Path("pool.toml").write_text("[[layers]]\ntype = 'pool'\n")
    wrong = {"kernel": "kernel = 'edge'", "bare": "filter=edge  # so", "true": "flip = True"}
    for name, line in wrong.items():
        Path(f"{name}.toml").write_text(f"[[layers]]\ntype = 'conv'\n{line}\n")
    Path("comma.toml").write_text("[[layers]]\ntype = 'conv'\nbias = 0,5  # half\n")
    Path("single.toml").write_text("[layers]\ntype = 'pool'\n")
    Path("edges").mkdir()
    save("my dog.png", PHOTO)
    for name in ("eight", "sixteen"):
        Path(f"{name}.toml").write_text(DENSE.format(name) + "filter_layout = 'oihw'\n")


@pytest.mark.parametrize(("call", "code", "error", "hint"), CALLS)
def test_the_hint_says_what_to_write(call: str, code: int, error: str, hint: str) -> None:
    first, *others = refused_untouched(*shlex.split(call), code=code).splitlines()
    assert first.removeprefix("cnncli: error: ").startswith(error)
    assert not hint or others[0].removeprefix("hint: ").startswith(hint)


@pytest.mark.parametrize(
    "call",
    [
        "pool my dog.png",
        "run net.toml a.png my dog.png -o y/",
        "explain my dog.png -f edge",
        "compare a.png my dog.png",
        "plan net.toml --image my dog.png",
    ],
)
def test_a_name_parted_at_its_spaces_needs_quotes(call: str) -> None:
    said = refused_untouched(*call.split(), code=2)
    needs = "A name with spaces needs quotes: 'my dog.png'."
    assert said == f"cnncli: error: {needs}\nhint: cli {call.split()[0]} --help\n"
    save("my", PHOTO, format="PNG")
    assert "needs quotes" not in CliRunner().invoke(cli, call.split()).stderr


def test_somebody_who_redirects_is_told_where_the_result_goes() -> None:
    for words, noted in ((("a.png",), True), (("b.png", "--json"), False)):
        with open("y.npy", "wb") as file, in_terminal("pool", *words, stdout=file) as terminal:
            terminal.send(b"")
            assert terminal.end() == 0
        note = b"note: standard output is a file and gets nothing; -o - writes the values there"
        assert (note in terminal.shown) is noted
    assert Path("a-pool.png").exists()


@pytest.mark.parametrize(
    ("words", "noted"),
    [
        ("a.png -f k.npy k2.npy", True),
        ("-f k.npy k2.npy a.png", True),
        ("-f k.npy k2.npy", False),
        ("a.png k2.npy -f k.npy", False),
        ("-f k.npy a.png k2.npy", False),
        ("a.png -f k.npy large.npy", False),
    ],
)
def test_a_filter_right_behind_another_is_noted(words: str, noted: bool) -> None:
    np.save("k2.npy", np.ones((5, 5)))
    np.save("large.npy", np.ones((40, 40)))
    said = run_cli("conv", *words.split()).stderr
    note = "note: 'k2.npy' is an IMAGE here; for two filters: -f k.npy -f k2.npy\n"
    assert said.startswith(note) is noted
    said = run_cli("conv", *words.split(), *["-o", "z.png"] * noted, "--overwrite", code=2 * noted)
    assert said.stderr.startswith(note) is noted
    assert "for two filters" not in run_cli("conv", *words.split(), "-q", "--overwrite").stderr


def test_a_number_that_is_a_file_is_an_image() -> None:
    Path("a.png").rename("3")
    run_cli("conv", "-f", "5", "3", "-o", "y.png")


@pytest.mark.parametrize("words", [["--input", "12x20x1"], ["--image", "grey.png"]])
def test_plan_gives_a_network_the_channels_that_run_does(words: list[str]) -> None:
    note = "grey, repeated to 3 channels: the network takes colour pictures"
    planned = run_cli("plan", "net.toml", *words)
    assert planned.stderr == f"note: {note}\n" and "12x20x3 to 6x10x16" in planned.stdout
    assert note in run_cli("run", "net.toml", "grey.png", "-o", "y.png").stderr


@pytest.mark.parametrize("command", ["run net.toml a.png -o y.png", "plan net.toml --image a.png"])
def test_the_other_layout_is_named_as_the_field_of_a_network_file(command: str) -> None:
    Path("net.toml").write_text("[[layers]]\ntype = 'conv'\nfilter = 'w.npz:oihw'\n")
    said = run_cli(*command.split()).stderr
    assert 'filter_layout = "oihw" is likelier, window 3x3, 6 maps' in said
    Path("net.toml").write_text(
        "[[layers]]\ntype = 'conv'\nfilter = 'w.npz:oihw'\nfilter_layout = \"oihw\"\n"
    )
    assert "likelier" not in run_cli(*command.split(), *["--overwrite"] * ("-o" in command)).stderr
    said = run_cli("conv", "a.png", "-f", "w.npz:oihw", "-o", "z.png").stderr
    assert "--filter-layout oihw is likelier" in said


def test_the_other_layout_is_named_where_a_bias_of_the_same_file_does_not_fit() -> None:
    np.savez("both.npz", W=np.ones((8, 3, 5, 5)), b=np.ones(8))
    said = refused("conv", "a.png", "-f", "both.npz", "-o", "z.png", code=2)
    assert "got 8: both read as hwio, window 8x3, 5 maps" in said
    assert "hint: --filter-layout oihw" in said
