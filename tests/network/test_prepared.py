"""Networks made ready once: the same bytes for every image, and filters kept within bounds."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pytest

from cnncli.filters.filter import from_array
from cnncli.network import prepared
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ActivationLayer, AddLayer, ConvLayer, PoolLayer
from cnncli.network.passes import forward_layers
from cnncli.network.prepared import PreparedNetwork, same_layers
from cnncli.system.threads import run_all

RNG = np.random.default_rng(0)


def bank(channels: int, maps: int) -> ConvLayer:
    weights = RNG.standard_normal((3, 3, channels, maps)).astype(np.float32)
    return ConvLayer(from_array(weights), bias=RNG.standard_normal(maps))


def branched() -> Network:
    return Network(
        (
            Node("conv1", bank(3, 16), (SOURCE,)),
            Node("relu1", ActivationLayer("relu"), ("conv1",)),
            Node("conv2", bank(16, 16), ("relu1",)),
            Node("sum", AddLayer(), ("relu1", "conv2")),
            Node("pool", PoolLayer("max", 2), ("sum",)),
        )
    )


class ThreadsOfAdd(AddLayer):
    """A sum that notes the threads that its rows could be done on."""

    threads: ClassVar[set[int]] = set()

    def forward(self, *inputs: Any) -> Any:
        def note(_: int) -> None:
            self.threads.add(threading.get_ident())
            time.sleep(0.002)

        run_all(note, range(20), None)
        return super().forward(*inputs)


def test_layers_without_strips_use_no_more_threads_than_asked_for() -> None:
    nodes = [
        Node(node.name, ThreadsOfAdd() if node.name == "sum" else node.layer, node.inputs)
        for node in branched().nodes
    ]
    dict(PreparedNetwork(Network(tuple(nodes)), ["pool"]).outputs(picture(9, 9), jobs=1))
    assert ThreadsOfAdd.threads == {threading.get_ident()}


def test_stages_of_several_sizes_at_once_are_each_of_their_size() -> None:
    chain = PreparedNetwork(Network.chain(bank(3, 2), PoolLayer("max", 2)), ["pool1"])

    def sizes(size: int) -> set[Any]:
        shape = (1, size, size, 3)
        return {chain.stage(shape, np.dtype(np.float32)).shape for _ in range(100)}

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(sizes, (8, 12, 16)))
    assert found == [{(1, n // 2, n // 2, 2)} for n in (8, 12, 16)]


def picture(rows: int, columns: int) -> Any:
    return RNG.standard_normal((1, rows, columns, 3)).astype(np.float32)


def test_every_image_has_the_bytes_of_the_first() -> None:
    network = branched()
    made = PreparedNetwork(network, ["pool"])
    images = [picture(40, 30) for _ in range(3)]
    for image in (*images, picture(9, 50), *images):
        expected = dict(PreparedNetwork(network, ["pool"]).outputs(image))
        np.testing.assert_array_equal(dict(made.outputs(image))["pool"], expected["pool"])


def test_a_batch_is_its_images() -> None:
    network, images = branched(), [picture(20, 20) for _ in range(3)]
    ((_, together),) = forward_layers(network, np.concatenate(images))
    for image, Y in zip(images, together, strict=True):
        ((_, alone),) = forward_layers(network, image)
        np.testing.assert_array_equal(Y, alone[0])


def test_layers_are_kept_from_the_second_image_on(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[Any] = []
    stage = ConvLayer.stage

    def counted(layer: ConvLayer, shape: Any, dtype: Any) -> Any:
        counts.append(shape)
        return stage(layer, shape, dtype)

    monkeypatch.setattr(ConvLayer, "stage", counted)
    network, image = branched(), picture(40, 40)
    for expected in (2, 4, 4, 4):
        dict(forward_layers(network, image))
        assert len(counts) == expected
    dict(forward_layers(network, picture(30, 40)))
    assert len(counts) == 6


def test_no_more_filters_are_kept_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "KEPT_BYTES", 0)
    network, image = Network.chain(bank(64, 64)), RNG.standard_normal((1, 40, 40, 64))
    made = PreparedNetwork(network, network.names)
    image = image.astype(np.float32)
    first, second, third = (dict(made.outputs(image))["conv1"] for _ in range(3))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)
    assert made.kept_bytes == 0
    monkeypatch.setattr(prepared, "KEPT_BYTES", 2**30)
    dict(made.outputs(image))
    assert made.kept_bytes == 36 * 64 * 64 * 4


def test_layers_and_links_make_a_network_the_same() -> None:
    network = branched()
    assert same_layers(network, Network(network.nodes))
    assert not same_layers(network, branched())
    other = (*network.nodes[:3], Node("sum", network.nodes[3].layer, ("conv2", "relu1")))
    assert not same_layers(network.until("sum"), Network(other))
