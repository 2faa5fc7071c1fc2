"""The shape of the tests: each module has its own, and what needs more than `.[test]` says so."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PACKAGE = TESTS.parent / "cnncli"
LINES = 60
"""Modules with more lines have a file of tests of their name, or stand in ELSEWHERE."""

ELSEWHERE = {
    "batch/test_report.py": "pipeline/written_file",
    "batch/test_worker_pool.py": "batch/worker pipeline/job pipeline/process",
    "batch/test_sources.py": "batch/listing",
    "cli/test_batch.py": "batch/dry_run batch/run",
    "cli/test_compare.py": "compare/report compare/run",
    "cli/test_compare_networks.py": (
        "compare/layer_causes compare/network_causes compare/network_walk compare/networks "
        "compare/tensor_causes"
    ),
    "cli/test_command.py": "cli/options cli/layer_options",
    "cli/test_conv.py": "cli/layer cli/layer_commands pipeline/layers",
    "cli/test_explain.py": "explain/run explain/to_json",
    "cli/test_grad.py": "gradients/run pipeline/drawn_field",
    "cli/test_incomplete_networks.py": "network/load",
    "cli/test_network_input.py": "network/preparation pipeline/largest_values pipeline/networks",
    "cli/test_photo_metadata.py": "io/photo_metadata pipeline/transparency",
    "cli/test_output.py": "pipeline/layer_result pipeline/output_names pipeline/source",
    "cli/test_plan.py": "plan/draw plan/input_shape plan/report plan/trace_picture",
    "core/test_algorithms.py": "system/blas",
    "core/test_geometry.py": "core/hparameters",
    "core/test_pool.py": "core/averages core/window_reduce",
    "explain/test_forward.py": "explain/explained_layer explain/model",
    "faults/test_long_names.py": "io/safe_names",
    "faults/test_places.py": "pipeline/disk_estimate",
    "faults/test_safety.py": "cli/group",
    "filters/test_builtins.py": "filters/kernels",
    "filters/test_filter.py": "filters/files",
    "io/test_atomic.py": "system/files",
    "io/test_image_headers.py": "io/decoding_memory",
    "io/test_images.py": "io/read_options",
    "io/test_npy.py": "io/npz io/regular_files",
    "io/test_pillow_reader.py": "io/deep_samples io/frames io/samples",
    "io/test_remote.py": "io/urls",
    "io/test_writers.py": "io/formats",
    "library/test_network.py": "library/run",
    "network/test_graph.py": "network/passes",
    "network/test_input_channels.py": "io/array_axes",
    "network/test_toml_reader.py": "network/conventions network/weight_files",
    "oracle/test_compare.py": "compare/peers",
    "oracle/test_compare_networks.py": "compare/onnx_values",
    "pipeline/test_output_checks.py": "pipeline/files",
    "pipeline/test_write.py": "pipeline/planned_results",
    "render/test_grid.py": "render/legend",
    "render/test_tiles.py": "render/result_rows",
}
"""Files of tests that judge modules of other names: with others, or through a command."""


def without_tests() -> set[str]:
    """Return the modules that no file of tests is named after.

    A module of a sub-package may be judged in the file that is named after the sub-package.
    """
    names = set()
    for path in PACKAGE.rglob("*.py"):
        package, *rest = path.relative_to(PACKAGE).with_suffix("").parts
        if not rest or path.stem == "__init__" or len(path.read_text().splitlines()) <= LINES:
            continue
        if not any((TESTS / package / f"test_{part}.py").exists() for part in rest):
            names.add("/".join((package, *rest)))
    return names


def test_every_module_has_its_tests() -> None:
    listed = {name for modules in ELSEWHERE.values() for name in modules.split()}
    assert without_tests() - listed == set(), "write tests/<package>/test_<module>.py or list it"
    assert listed - without_tests() == set(), "not to be listed: gone, short, or with tests"
    assert [file for file in ELSEWHERE if not (TESTS / file).exists()] == []


FILES = [path for path in sorted(TESTS.rglob("test_*.py")) if "importorskip" in path.read_text()]


def marks_of(node: ast.AST) -> set[str]:
    """Return the names of what is read as an attribute: of ``pytest.mark.oracle`` both parts."""
    return {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_needs_more_than_the_test_extra_is_an_oracle(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    assigned = [node for node in body if isinstance(node, ast.Assign)]
    if any("oracle" in marks_of(node) for node in assigned):
        return
    needing = [node for node in body if "importorskip" in marks_of(node)]
    assert [ast.unparse(node) for node in needing if "oracle" not in marks_of(node)] == []
