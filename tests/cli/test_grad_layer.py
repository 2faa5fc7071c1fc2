"""Gradients of one layer that options describe, as ``cnncli grad`` gives them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.shell import run_cli, save_array, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")


def test_the_backward_cell_of_the_course_from_the_shell() -> None:
    np.random.seed(1)
    for name, shape in (("x", (10, 4, 4, 3)), ("W", (2, 2, 3, 8)), ("b", (1, 1, 1, 8))):
        save_array(f"{name}.npy", np.random.randn(*shape))
    layer = ["--filter", "W.npy", "--bias", "b.npy", "--stride", "2", "--padding", "2"]
    run_cli("conv", "x.npy", *layer, "-o", "Z.npy")
    run_cli(
        *("grad", "x.npy", *layer, "--upstream", "Z.npy", "--params", "grads/", "-o", "dA.npy"),
        "--check",
    )
    dA, dW, db = (np.load(f) for f in ("dA.npy", "grads/conv1-W.npy", "grads/conv1-b.npy"))
    assert (dA.shape, dW.shape, db.shape) == ((10, 4, 4, 3), (2, 2, 3, 8), (8,))
    means = [array.mean() for array in (dA, dW, db)]
    np.testing.assert_allclose(means, [1.452437777539, 1.726991458314, 7.839232564617], rtol=1e-11)


def test_the_pool_of_one_layer_by_hand() -> None:
    save_array("x.npy", np.array([[1.0, 3], [2, 0]]))
    save_array("dA.npy", np.array([[6.0]]))
    largest = values_of("grad", "x.npy", "--mode", "max", "--size", "2", "--upstream", "dA.npy")
    np.testing.assert_array_equal(largest[..., 0], [[0, 6], [0, 0]])
    average = values_of("grad", "x.npy", "--pool", "average", "--upstream", "dA.npy")
    np.testing.assert_array_equal(average[..., 0], np.full((2, 2), 1.5))
    # Without --upstream the gradient of the sum of all outputs.
    np.testing.assert_array_equal(
        values_of("grad", "x.npy", "--pool", "max")[..., 0], largest[..., 0] / 6
    )


def test_nothing_is_said_of_the_gradient_of_a_unit_without_a_value() -> None:
    save_array("x.npy", np.full((4, 4), np.nan))
    words = ["--filter", "edge", "x.npy", "--unit", "conv1:0,2,2", "-o", "g.npy"]
    said = run_cli("grad", *words).stderr
    assert "(edge) is nan" in said and "no pixel changes" not in said


@pytest.mark.parametrize(("count", "verb"), [(1, "is"), (2, "are")])
def test_infinities_of_the_image_are_counted(count: int, verb: str) -> None:
    given = np.ones((4, 4), np.float32)
    given[1, :count] = np.inf
    save_array("given.npy", given)
    for words in (["grad", "given.npy", "--pool", "lp"], ["pool", "given.npy", "--mode", "lp"]):
        result = run_cli(*words, "--size", 1, "-o", f"{words[0]}.npy")
        told = (
            f"{count} of 16 values are NaN or infinite, as {count} of 16 values of the input {verb}"
        )
        assert told in result.stderr
