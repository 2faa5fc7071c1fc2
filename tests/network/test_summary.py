"""Plans against what the network does, and against numbers that PyTorch's users know."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest

from cnncli.core.arrays import placeholder
from cnncli.core.choices import PAD_MODES
from cnncli.errors import ShapeError
from cnncli.filters.files import load_filter
from cnncli.filters.filter import Filter, from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConvLayer,
    PadLayer,
    PoolLayer,
)
from cnncli.network.passes import forward, forward_layers
from cnncli.network.summary import summarize, unread_notes
from cnncli.plan.report import csv_text, json_lines, table
from cnncli.plan.trace import trace
from tests.support.memory import traced_peak
from tests.support.sweep import sweep

FLOAT32 = np.dtype("float32")


def conv(kernel: int, depth: int, maps: int, **options: Any) -> ConvLayer:
    weights = np.full((kernel, kernel, depth, maps), 0.01, np.float32)
    return ConvLayer(from_array(weights), **options)


def norm(channels: int) -> BatchNormLayer:
    one = np.ones(channels)
    return BatchNormLayer(one, 0 * one, 0 * one, one)


def hollow(*shape: int, per_channel: bool = False) -> Filter:
    maps = tuple(str(index) for index in range(shape[-1]))
    return Filter("hollow", placeholder(FLOAT32, shape), per_channel, maps)


STEM = Network(
    (
        Node("conv1", conv(7, 3, 64, stride=2, padding=3), (SOURCE,)),
        Node("bn1", norm(64), ("conv1",)),
        Node("relu", ActivationLayer("relu"), ("bn1",)),
        Node("maxpool", PoolLayer("max", 3, 2, 1), ("relu",)),
        Node("layer1.0.conv1", conv(3, 64, 64, padding=1), ("maxpool",)),
        Node("layer1.0.bn1", norm(64), ("layer1.0.conv1",)),
        Node("layer1.0.relu", ActivationLayer("relu"), ("layer1.0.bn1",)),
        Node("layer1.0.conv2", conv(3, 64, 64, padding=1), ("layer1.0.relu",)),
        Node("layer1.0.bn2", norm(64), ("layer1.0.conv2",)),
        Node("layer1.0.add", AddLayer(), ("layer1.0.bn2", "maxpool")),
        Node("layer2.0.conv1", conv(3, 64, 128, stride=2, padding=1), ("layer1.0.add",)),
        Node("layer2.0.bn1", norm(128), ("layer2.0.conv1",)),
        Node("layer2.0.short", conv(1, 64, 128, stride=2, padding=0), ("layer1.0.add",)),
        Node("layer2.0.short.bn", norm(128), ("layer2.0.short",)),
        Node("layer2.0.add", AddLayer(), ("layer2.0.bn1", "layer2.0.short.bn")),
    )
)
"""The first layers of ResNet-18 (He et al., 2016) under their names in torchvision."""


def test_parameters_and_multiply_adds_of_a_resnet_stem() -> None:
    plan = summarize(STEM, (224, 224, 3))
    found = {layer.name: layer for layer in plan.layers}
    # torch: sum(p.numel() for p in model.layer.parameters())
    assert found["conv1"].parameters == 9_408
    assert found["bn1"].parameters == 128
    assert found["layer1.0.conv1"].parameters == 36_864
    assert found["layer2.0.short"].parameters == 8_192
    # torchvision's BasicBlock(64, 64) has 73,984 parameters.
    block = [layer for layer in plan.layers if layer.name.startswith("layer1.0.")]
    assert sum(layer.parameters for layer in block) == 73_984
    # As fvcore and ptflops count them: 118.0 M for conv1, 115.6 M for 3x3 at 56.
    assert found["conv1"].multiply_adds == 118_013_952
    assert found["layer1.0.conv1"].multiply_adds == 115_605_504
    assert found["layer2.0.conv1"].multiply_adds == 57_802_752
    assert found["layer2.0.short"].multiply_adds == 6_422_528
    assert plan.parameters == 9_408 + 128 + 73_984 + 73_728 + 256 + 8_192 + 256
    assert plan.multiply_adds == 118_013_952 + 2 * 115_605_504 + 57_802_752 + 6_422_528
    assert found["layer1.0.add"].field[0].size == 27
    assert plan.warnings == ()


def test_shapes_memory_and_formulas_are_those_of_the_pass() -> None:
    plan = summarize(STEM, (45, 38, 3))
    image = np.ones((1, 45, 38, 3), np.float32)
    for (name, values), layer in zip(
        forward_layers(STEM, image, STEM.names), plan.layers, strict=True
    ):
        assert name == layer.name
        assert layer.shape == values.shape[1:]
        assert layer.bytes == values.nbytes
        if layer.window is not None:
            axes = layer.window.rows, layer.window.cols
            for axis, size in zip(axes, values.shape[1:3], strict=True):
                arithmetic, _, result = axis.formula.partition(" = ")
                assert eval(arithmetic) == int(result) == size
    assert plan.layers[0].held_bytes == image.nbytes + plan.layers[0].bytes
    assert plan.peak_bytes == 2 * plan.layers[0].bytes


def unread_input(network: Network, shape: tuple[int, int, int]) -> tuple[list[int], list[int]]:
    """Return the rows and columns of the input that have no gradient."""
    done = forward(network, np.random.default_rng(0).uniform(0.1, 0.2, (1, *shape)))
    last = network.nodes[-1].name
    met = done.backward({last: np.ones_like(done.values[last])}).values[SOURCE][0].any(axis=2)
    return tuple(np.flatnonzero(~met.any(axis=1 - side)).tolist() for side in (0, 1))


@pytest.mark.parametrize(
    "network",
    [
        Network.chain(PoolLayer("average", 2)),
        Network.chain(PoolLayer("average", 3), PoolLayer("average", 2)),
        Network.chain(conv(1, 1, 1, stride=3, padding="valid")),
        Network.chain(conv(3, 1, 1, stride=7, dilation=2, padding=0), PoolLayer("average", 2)),
        Network.chain(PadLayer((0, 3)), PoolLayer("average", 5), conv(1, 1, 2, padding=0)),
        Network(
            (
                Node("even", conv(1, 1, 1, stride=4, padding=0), (SOURCE,)),
                Node("odd", conv(2, 1, 1, stride=4, padding=0), (SOURCE,)),
                Node("sum", AddLayer(), ("even", "odd")),
                Node("pool", PoolLayer("average", 2), ("sum",)),
            )
        ),
    ],
    ids=lambda network: "-".join(network.names),
)
def test_unread_input_has_no_gradient(network: Network) -> None:
    for shape in ((19, 30, 1), (38, 31, 1)):
        plan = summarize(network, shape)
        found = [
            [cell for run in runs for cell in range(run.start, run.stop)]
            for runs in (plan.unread.rows, plan.unread.columns)
        ]
        assert found == list(unread_input(network, shape))
        assert bool(plan.warnings) == any(map(bool, found))


@pytest.mark.parametrize(
    ("pools", "last"), [(4, "1 more line of this kind"), (5, "2 more lines of this kind")]
)
def test_notes_beyond_the_first_few_are_counted(pools: int, last: str) -> None:
    size = 2 ** (pools + 1) - 1
    notes = unread_notes(Network.chain(*[PoolLayer()] * pools), (1, size, 2**pools, 1))
    assert len(notes) == 4 and notes[-1] == f"{last}: cnncli plan has them all"


@pytest.mark.parametrize(
    ("network", "shape", "warnings"),
    [
        (
            Network.chain(PoolLayer()),
            (5, 4, 3),
            ["row 4 of the input (0 to 4) is never read: pool1 has (5+2*0-2)//2+1 = 2 rows"],
        ),
        (
            Network.chain(PoolLayer(size=2), PoolLayer(size=2)),
            (8, 6, 3),
            [
                "column 2 of pool1 (0 to 2) is never read: pool2 has (3+2*0-2)//2+1 = 1 columns",
                "columns 4 to 5 of the input (0 to 5) are of no use to pool2",
            ],
        ),
        (
            Network.chain(conv(1, 3, 1, stride=(1, 2), padding=0)),
            (4, 9, 3),
            [
                "columns 1, 3, 5, ... (4 in all) of the input (0 to 8) are never read: "
                "conv1 has (9+2*0-1)//2+1 = 5 columns"
            ],
        ),
        (
            Network.chain(PoolLayer(size=2, padding=(2, 0, 0, 0))),
            (4, 4, 3),
            ["pool1: 2 windows lie in the padding only and have no finite value"],
        ),
    ],
)
def test_warnings(network: Network, shape: tuple[int, int, int], warnings: list[str]) -> None:
    assert list(summarize(network, shape).warnings) == warnings


def test_what_another_branch_reads_is_no_waste() -> None:
    network = Network(
        (
            Node("conv", conv(3, 3, 4, stride=2, padding=1), (SOURCE,)),
            Node("short", conv(1, 3, 4, stride=2, padding=0), (SOURCE,)),
            Node("add", AddLayer(), ("conv", "short")),
        )
    )
    plan = summarize(network, (8, 8, 3))
    assert plan.warnings == ()
    assert [run.start for run in plan.layers[1].unread.rows] == [1, 3, 5, 7]
    assert not plan.unread


def test_shapes_that_do_not_chain_name_the_layer_and_its_formula() -> None:
    network = Network.chain(PoolLayer(size=2), PoolLayer(size=9))
    with pytest.raises(ShapeError, match=r"^layer pool2: .*\(4\+2\*0-9\)//9\+1 = 0"):
        summarize(network, (8, 8, 3))


def test_no_algorithm_is_claimed_where_values_decide() -> None:
    depthwise = ConvLayer(hollow(3, 3, 1, 8), groups=8)
    network = Network(
        (
            Node("bank", ConvLayer(hollow(3, 3, 3, 8)), (SOURCE,)),
            Node("depthwise", depthwise, ("bank",)),
            Node("each", ConvLayer(hollow(5, 5, 1, per_channel=True)), ("depthwise",)),
        )
    )
    real = Network((Node("bank", conv(3, 3, 8), (SOURCE,)),))
    bank, *others = summarize(network, (64, 64, 3)).layers
    assert bank.choice == summarize(real, (64, 64, 3)).layers[0].choice
    for layer in others:
        assert layer.choice is not None
        assert layer.choice.algorithm == "auto"
        assert "values" in layer.choice.reason


def test_large_hollow_filters_take_no_memory() -> None:
    network = Network.chain(ConvLayer(hollow(64, 64, 512, 4096), padding="valid"))
    plan = summarize(network, (64, 64, 512))
    assert plan.parameters == 64 * 64 * 512 * 4096
    assert plan.layers[0].shape == (1, 1, 4096)


SMALL = Network(
    (
        Node("conv1", conv(5, 1, 4, stride=(2, 1), padding=(0, 2), activation="relu"), (SOURCE,)),
        Node("crop", conv(2, 4, 2, padding=(0, 1, 1, 0), dilation=2), ("conv1",)),
        Node("pool1", PoolLayer("max", 3, 2, ceil=True), ("crop",)),
    )
)

SHAPES = """\
LAYER  NO  TYPE                 OUTPUT  ROWS                     COLUMNS                   PADS
conv1   1  conv 5x5/2,1 relu    8x20x4  (19+2*0-5)//2+1 = 8      (20+2*2-5)//1+1 = 20      0,2
crop    2  conv 2x2 dilation 2  7x19x2  (8+0+1-3)//1+1 = 7       (20+1+0-3)//1+1 = 19      0,1,1,0
pool1   3  max pool 3x3/2       3x9x2   ceil((7+2*0-3)/2)+1 = 3  ceil((19+2*0-3)/2)+1 = 9  0
"""
COSTS = """\
LAYER  PARAMETERS  MULTIPLY-ADDS  FIELD  STEP  CENTRE   MEMORY  PEAK MEMORY  ALGORITHM
conv1         100         16,000    5x5   2x1     2,0  2.56 kB      4.08 kB  matmul
crop           32          4,256    9x7   2x1     4,0  1.06 kB      3.62 kB  matmul
pool1                              13x9   4x2     6,1    216 B      1.28 kB
"""
TOTALS = """\
19x20x1 to 3x9x2, 3 layers
parameters: 132, multiply-adds: 20,256
receptive field of a unit of pool1: 13x9 of 19x20 input cells, step 4x2
peak memory: 4.08 kB for the outputs held at once
"""


def test_table_wraps_its_columns() -> None:
    text = "\n".join(table(summarize(SMALL, (19, 20, 1)), 100, verbose=True)) + "\n"
    # Which of two algorithms is the quicker one depends on the CPU.
    shapes, costs, reasons, totals = text.replace("low-rank", "matmul").split("\n\n")
    assert (shapes + "\n", costs + "\n", totals) == (SHAPES, COSTS, TOTALS)
    assert reasons.startswith("LAYER  REASON\nconv1  estimated ")
    assert " on one thread for each of 8 images" in " ".join(reasons.split())


@pytest.mark.parametrize("width", [1, 12, 20, 40, 79, 100, 160])
def test_table_keeps_to_its_width(width: int) -> None:
    plan = summarize(STEM, (224, 224, 3))
    *blocks, _ = "\n".join(table(plan, width, verbose=True)).split("\n\n")
    assert max(len(line) for block in blocks for line in block.splitlines()) <= width
    # All layers stand under every heading, in order.
    assert {len(block.splitlines()) for block in blocks} == {1 + len(plan.layers)}


def test_table_without_a_width_has_one_line_a_layer() -> None:
    plan = summarize(STEM, (224, 224, 3))
    head, *lines = table(plan, verbose=True)[: 1 + len(plan.layers)]
    assert head.split()[:3] == ["LAYER", "NO", "TYPE"] and head.split()[-1] == "REASON"
    assert "(224+2*3-7)//2+1 = 112" in lines[0] and "118,013,952" in lines[0]
    assert [line.split()[0] for line in lines] == list(STEM.names)
    assert "COLUMNS" in head and "ROWS AND COLUMNS" in head


def test_json_and_csv_say_the_same() -> None:
    plan = summarize(SMALL, (19, 20, 1))
    *layers, last = map(json.loads, json_lines(plan))
    rows = list(csv.DictReader(io.StringIO(csv_text(plan))))
    assert len(layers) == len(rows) == 3
    for fields, row in zip(layers, rows, strict=True):
        assert [row[key] for key in ("layer", "type", "label")] == [
            fields[key] for key in ("layer", "type", "label")
        ]
        assert [int(row[key]) for key in ("rows", "columns", "channels")] == fields["shape"]
        assert [row["rows_formula"], row["columns_formula"]] == fields["formula"]
        assert {side: int(row[f"pad_{side}"]) for side in fields["pads"]} == fields["pads"]
        for key in ("parameters", "multiply_adds", "bytes", "held_bytes"):
            assert int(row[key]) == fields[key]
        for part, column in (("size", "field"), ("step", "step"), ("centre", "centre")):
            values = [float(row[f"{column}_{axis}"]) for axis in ("rows", "columns")]
            assert values == fields["receptive_field"][part]
        assert (row["algorithm"] or None) == fields["algorithm"]
    totals = last["totals"]
    assert totals["input"] == [19, 20, 1] and totals["output"] == [3, 9, 2]
    assert totals["parameters"] == sum(fields["parameters"] for fields in layers)
    assert totals["multiply_adds"] == sum(fields["multiply_adds"] for fields in layers)
    assert totals["peak_bytes"] == max(fields["held_bytes"] for fields in layers)
    assert totals["warnings"] == list(plan.warnings)


def test_stretches_of_unread_cells_in_json_and_csv() -> None:
    plan = summarize(Network.chain(PoolLayer(size=2, stride=3)), (9, 5, 3))
    fields = json.loads(json_lines(plan)[0])
    assert fields["unread_rows"] == [[2, 3], [5, 6], [8, 9]]
    assert fields["unread_columns"] == [[2, 3]]
    (row,) = csv.DictReader(io.StringIO(csv_text(plan)))
    assert (row["unread_rows"], row["unread_columns"]) == ("2:3 5:6 8:9", "2:3")


@pytest.mark.parametrize("mode", sweep(PAD_MODES, keep=2))
def test_the_length_of_pads_costs_nothing(mode: str) -> None:
    pads = [PadLayer(65535, mode)] * 25
    apart = ConvLayer(load_filter("edge"), padding=65535, stride=4, dilation=3, pad_mode=mode)
    network = Network.chain(*pads, PoolLayer(size=3, stride=2), apart, PoolLayer())
    plans = []

    def plan() -> None:
        plans.append(summarize(network, (20, 24, 3)))
        trace(network, (1, 20, 24, 3), "pool2", (100_000, 7))

    # A mark for each of the last pad's rows would take 3 MB.
    assert traced_peak(plan) < 1_500_000
    (notes,) = [plan.warnings for plan in plans]
    assert any("conv1: too many windows" in note for note in notes)


def test_tails_and_gaps_behind_long_pads_are_found() -> None:
    network = Network.chain(PadLayer((0, 6_000), "wrap"), PoolLayer(size=1, stride=2))
    plan = summarize(network, (5, 7, 1))
    assert plan.unread.rows == (slice(1, 2), slice(3, 4))
    assert plan.unread.columns == ()
    zeros = summarize(Network.chain(PadLayer((0, 6_001)), PoolLayer(size=1, stride=3)), (5, 7, 1))
    # Column 0 is padded column 6,001, which is one past a multiple of 3.
    assert zeros.unread.columns == (slice(0, 2), slice(3, 5), slice(6, 7))


def test_fields_larger_than_numbers_are_refused() -> None:
    network = Network.chain(*[PoolLayer(size=9999, stride=9999, padding=9999)] * 30)
    with pytest.raises(ShapeError, match=r"receptive field of pool4 must be below 2\^53"):
        summarize(network, (20, 24, 3))
