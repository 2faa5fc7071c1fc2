"""Fields of network files: what is wrong in one is named, and the commands' options have theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.errors import FileProblem
from cnncli.network.load import load_model
from cnncli.network.toml_types import COMMON, LAYER_TYPES
from tests.network.test_toml_reader import CONV, POOL, refusal

pytestmark = pytest.mark.usefixtures("empty_folder")


VIEW = (
    '[input]\nsize = [4, 4]\n[[layers]]\ntype = "view"\npermutation = [0, 2, 3, 1]\nchannels = 4\n'
)
FAULTS = [
    ("", ["at least one [[layers]]"]),
    ("layers = 3", ["at least one [[layers]]"]),
    ("layers = [3]", ["layer 1", "table"]),
    ("[layer]", ["'layer'", "nearest: layers"]),
    (f"[imput]\n{POOL}", ["'imput'", "nearest: input"]),
    (f"[input]\ngrey = true\n{POOL}", ["[input]: no field 'grey'", "nearest: gray"]),
    (f"[input]\nsize = [0, 4]\n{POOL}", ["[input]: size must be N or [H, W]", "[0, 4]"]),
    (f"[input]\nsize = 0\n{POOL}", ["[input]: size must be N or [H, W]", "0"]),
    (f"[input]\nprep = 'caffe'\n{POOL}", ["[input]: prep must be one of imagenet", "'caffe'"]),
    (f"[input]\nmean = true\n{POOL}", ["[input]: mean must be", "true"]),
    (f'[input]\nmean = ["a"]\n{POOL}', ["[input]: mean must be a number or a list"]),
    (f"[input]\nstd = [1, 0, 1]\n{POOL}", ["[input]: std must not contain 0"]),
    (f"[input]\nmean = [1, 2]\nstd = [1, 2, 3]\n{POOL}", ["[input]: mean and std", "2 and 3"]),
    ("[[layers]\n", ["not TOML", "line 1"]),
    ("a = " + "[" * 5000, ["not TOML"]),
    (f"{POOL}size = 2\nsize = 3\n", ["not TOML"]),
    ("[[layers]]\n", ["layer 1", "type must be one of conv, pool", "nothing"]),
    ('[[layers]]\ntype = "convv"', ["layer 1", "no type", "'convv'", "nearest: conv"]),
    ('[[layers]]\ntype = "zzz"', ["no type 'zzz'; there are conv, pool", "matmul"]),
    ('[[layers]]\nname = "x"\ntype = 3', ["layer x: type must be", "'3'"]),
    ('[[layers]]\nname = 3\ntype = "pool"', ["layer pool1: name must be", "got 3"]),
    ('[[layers]]\nname = ""\ntype = "pool"', ["name must be a printable text"]),
    ('[[layers]]\nname = "\\u001b[31m"\ntype = "pool"', ["layer \\x1b[31m: name must be"]),
    ('[[layers]]\nname = "input"\ntype = "pool"', ["layer input: name", "taken"]),
    ('[[layers]]\nname = "normalize"\ntype = "pool"', ["layer normalize: name", "taken"]),
    (f'{CONV}filter = "edge"\n{CONV}filter = "edge"', ["layer c: name", "taken"]),
    (f'{POOL}inputs = ["nope"]', ["layer pool1: inputs: 'nope' is no layer before it"]),
    (f"{POOL}inputs = []", ["layer pool1: inputs must be"]),
    (f'{POOL}inputs = "input"', ["layer pool1: inputs must be a list"]),
    (f'{POOL}inputs = ["input", "input"]', ["layer pool1: inputs: pool takes one, got 2"]),
    ('[[layers]]\ntype = "add"', ["layer add1: inputs must be given"]),
    ('[[layers]]\ntype = "add"\ninputs = ["input"]', ["layer add1: inputs", "at least 2, got 1"]),
    (f'{POOL}mode = "maximum"', ["layer pool1: mode must be one of max", "'maximum'"]),
    (f"{POOL}stride = 0", ["layer pool1: stride must be N or [H, W]", "got 0"]),
    (f"{POOL}stride = 1.5", ["layer pool1: stride must be", "got 1.5"]),
    (f"{POOL}stride = true", ["layer pool1: stride must be", "got true"]),
    (f"{POOL}padding = [1, 2, 3]", ["layer pool1: padding must be same", "[1, 2, 3]"]),
    (f"{POOL}p = 0", ["layer pool1: p must be a number above 0"]),
    (f"{POOL}ceil = 1", ["layer pool1: ceil must be true or false, got 1"]),
    (f"{POOL}strid = 2", ["layer pool1: no field 'strid'", "nearest: stride"]),
    (CONV, ["layer c: filter must be given"]),
    (f"{CONV}filter = 3", ["layer c: filter must be FILE", "got 3"]),
    (f'{CONV}filter = "sobell"', ["layer c: filter: 'sobell'", "nearest built-in: sobel"]),
    (f'{CONV}filter = "w.npz:a"', ["layer c: filter: 'w.npz': no such file"]),
    (f'{CONV}filter = ["edge", "kirsch"]', ["layer c: filter: ", "equal channels"]),
    (f'{CONV}filter = ["edge", 3]', ["layer c: filter: ", "numbers only"]),
    (f"{CONV}filter = [[1, 2], [3]]", ["layer c: filter: ", "same length"]),
    (f"{CONV}filter = [[1, nan]]", ["layer c: filter: ", "finite"]),
    (f'{CONV}filter = "edge"\nbias = "x.npy"', ["layer c: bias: 'x.npy': no such file"]),
    (f'{CONV}filter = "edge"\nbias = [1, 2]', ["layer c: the bias must hold", "(2,)"]),
    (f'{CONV}filter = "edge"\nbias = inf', ["layer c: bias: ", "finite"]),
    (f'{CONV}filter = "edge"\nactivation = "relux"', ["layer c: activation must be", "'relux'"]),
    (f'{CONV}filter = "edge"\nactivation = "prelu"', ["layer c: activation prelu needs alpha"]),
    (
        f'{CONV}filter = "edge"\npad_value = 1\npad_mode = "edge"',
        ["layer c: pad_value is for pad_mode zeros"],
    ),
    (f'{CONV}filter = "0 0"\nnormalize = true', ["layer c: ", "a weight other than 0"]),
    (f"[input]\nsize = [1, 9]\n{POOL}size = 3", ["layer pool1: ", "(1+2*0-3)//3+1 = 0"]),
    (
        f'{CONV}filter = "kirsch"\n[[layers]]\ntype = "conv"\nfilter = "kirsch"',
        ["layer conv1: the filter kirsch has 1 channel in, the input has 8"],
    ),
    (
        f'[input]\ngray = true\n{CONV}filter = "gabor_color"',
        ["layer c: the filter gabor_color has 3 channels in, the input has 1"],
    ),
    (
        f'{CONV}filter = "kirsch"\n[[layers]]\ntype = "batchnorm"\nmean = [0, 0]\nvar = 1',
        ["layer batchnorm1: mean must hold 1 value or 8"],
    ),
    (
        f'{CONV}filter = "kirsch"\n[[layers]]\nname = "d"\ntype = "conv"\ninputs = ["input"]\n'
        'filter = ["edge", "box"]\n[[layers]]\ntype = "add"\ninputs = ["d", "c"]',
        ["layer add1: inputs of add must have the same shape"],
    ),
    (f"{VIEW}shape = [1, 3, 2, 8]", ["layer view1: channels must be 2, got 4"]),
    (f"{VIEW}shape = [1, 5, 5, 2]", ["layer view1: maps of 4x4x3 cannot have the shape"]),
    (f"{VIEW}shape = [5, -1]", ["layer view1: maps of 4x4x3 cannot have the shape (5, 9)"]),
    (f"{VIEW}shape = [6, -1]", ["layer view1: permutation must order 2 axes, got (0, 2, 3, 1)"]),
    (f"{VIEW}shape = [-1, -1]", ["layer view1: shape must be a list of lengths above 0"]),
    (f"{VIEW}shape = [0, 48]", ["layer view1: shape must be a list of lengths above 0"]),
    (f"{VIEW}new_shape = [-1]", ["layer view1: new_shape must be a list of lengths above 0"]),
    (f"{VIEW}new_shape = [47]", ["layer view1: ", "(1, 4, 4, 3)", "shape (47,)"]),
    (f'{VIEW}axes = "hh"', ["layer view1: axes must be some of the letters n, h, w and c"]),
    (f'{VIEW}axes = "nhw"', ["layer view1: maps of 4x4x3 cannot have the shape (1, 4, 4)"]),
]


@pytest.mark.parametrize(("text", "words"), FAULTS, ids=[text[-40:] for text, _ in FAULTS])
def test_faults_are_named_with_layer_and_field(text: str, words: list[str]) -> None:
    message = refusal(text)
    assert all(word in message for word in words), message


def test_every_option_of_the_commands_has_its_field() -> None:
    from cnncli.cli.command import Option
    from cnncli.cli.layer_commands import conv, pad, pool

    for command in (conv, pool, pad):
        own = [p for p in command.params if isinstance(p, Option) and p.section is None]
        options = {option.name for option in own}
        assert "padding" in options
        fields = {
            "filter_texts" if name == "filter" else name
            for name in LAYER_TYPES[command.name or ""].fields
        }
        assert options <= fields, command.name
        assert not options & set(COMMON)


HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f'[input]\nscale = {HUGE}\n[[layers]]\ntype = "pool"', "[input]: scale must be a number"),
        (f'[[layers]]\ntype = "pad"\npadding = 1\npad_value = {HUGE}', "pad_value must be a"),
        (
            "[input]\nscale = 1e308\nstd = 1e-300",
            "[input]: scale / std and mean / std must be finite",
        ),
        ('[[layers]]\ntype = ["pool"]', "layer 1 (of no name): type must be one of"),
        ('[[layers]]\ntype = "pool"\nstride' + ".a" * 3000 + " = 1", "stride must be N or [H, W]"),
        (
            '[[layers]]\ntype = "activation"\nactivation = "clip"\nlow = 3',
            "low must be at most high, got 3 and 1",
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_numbers_and_tables_beyond_all_measure(text: str, error: str) -> None:
    assert error in refusal(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[[layers]]\ntype = "Linear"', 'type = "dense"'),
        ('[[layers]]\ntype = "flatten"', "leave it out"),
        ('[[layers]]\ntype = "relu"', 'type = "activation" with activation = "relu"'),
        ('[[layers]]\ntype = "leaky_relu"', 'activation = "leaky-relu"'),
        ('[[layers]]\ntype = "max_pool"', 'type = "pool" with mode = "max"'),
        ('[layers]\ntype = "pool"\n[layers]\ntype = "pool"', "each layer begins with [[layers]]"),
        (f'{POOL}classes = ["cat"]', "classes stands above the first [table]"),
    ],
)
def test_words_of_other_tools_are_answered_with_ours(text: str, hint: str) -> None:
    Path("net.toml").write_text(text)
    with pytest.raises(FileProblem) as caught:
        load_model(Path("net.toml"))
    assert hint in (caught.value.hint or "")
