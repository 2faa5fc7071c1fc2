"""The scripts and styles that each kind of page is made of."""

from __future__ import annotations

from typing import Final

WORKER: Final = (
    "arithmetic/geometry.js",
    "arithmetic/activations.js",
    "arithmetic/window_sums.js",
    "arithmetic/layer.js",
    "arithmetic/ranges.js",
    "arithmetic/transposed.js",
    "network/reductions.js",
    "network/norms.js",
    "network/moved_values.js",
    "network/over_axes.js",
    "network/links.js",
    "network/forward.js",
    "network/receptive_fields.js",
    "network/description.js",
    "arithmetic/backward.js",
    "arithmetic/transposed_backward.js",
    "network/backward.js",
    "network/worker.js",
)
"""Those that a page of a network runs in a worker too, in their order: they need no page."""

SCRIPTS: Final[dict[str, tuple[str, ...]]] = {
    "layer": (
        "arithmetic/geometry.js",
        "arithmetic/activations.js",
        "arithmetic/window_sums.js",
        "arithmetic/layer.js",
        "arithmetic/transposed.js",
        "arithmetic/backward.js",
        "learning/gradient_descent.js",
        "shared/numbers.js",
        "arithmetic/ranges.js",
        "page/data.js",
        "shared/drawing.js",
        "shared/words.js",
        "shared/focus.js",
        "shared/fields.js",
        "quiz/questions.js",
        "quiz/window.js",
        "quiz/panel.js",
        "pictures/pixels.js",
        "pictures/drawing_pad.js",
        "pictures/own_picture.js",
        "layer/input.js",
        "layer/layer.js",
        "layer/pictures.js",
        "quiz/layer.js",
        "layer/moving.js",
        "shared/lists.js",
        "shared/step_panel.js",
        "layer/arithmetic_panel.js",
        "layer/pixel_fields.js",
        "layer/overview.js",
        "shared/gradient_tables.js",
        "layer/backward.js",
        "layer/spread.js",
        "learning/targets.js",
        "learning/learning.js",
        "learning/panel.js",
        "shared/filter_panel.js",
        "shared/layer_fields.js",
        "layer/maps.js",
        "layer/controls.js",
    ),
    "network": (
        *WORKER,
        "shared/numbers.js",
        "page/data.js",
        "shared/drawing.js",
        "shared/words.js",
        "shared/focus.js",
        "network/live.js",
        "pictures/pixels.js",
        "pictures/drawing_pad.js",
        "pictures/own_picture.js",
        "network/input.js",
        "network/reads.js",
        "network/windows.js",
        "network/unit_values.js",
        "shared/gradient_tables.js",
        "network/gradients.js",
        "network/weights.js",
        "network/ranges.js",
        "shared/lists.js",
        "shared/step_panel.js",
        "network/unit_panel.js",
        "network/score_differences.js",
        "network/pixel_shares.js",
        "network/score_comparison.js",
        "network/lazy.js",
        "network/strips.js",
        "network/map_filter.js",
        "network/cards.js",
        "network/layout.js",
        "network/graph.js",
        "shared/fields.js",
        "shared/filter_panel.js",
        "shared/layer_fields.js",
        "network/editor.js",
        "quiz/questions.js",
        "quiz/window.js",
        "quiz/network.js",
        "quiz/panel.js",
        "quiz/network_panel.js",
        "network/network.js",
    ),
}
_NOT_STACKED: Final = (
    "network/score_differences.js",
    "network/pixel_shares.js",
    "network/score_comparison.js",
    "arithmetic/transposed_backward.js",
)
"""On scores and layers that no stack of the playground has."""

SCRIPTS["playground"] = (
    *(name for name in SCRIPTS["network"][:-1] if name not in _NOT_STACKED),
    "playground/stack.js",
    "playground/commands.js",
    "playground/panel.js",
    "playground/playground.js",
    "network/network.js",
)
"""The scripts of each kind of page in cnncli/explain/web, in the order in which they run."""

UNPACK_SCRIPTS: Final = ("page/packed.js", "page/unpack.js")
"""Those that open a page, whose other scripts, style and data are deflated."""

_SHARED_STYLES: Final = (
    "page/page.css",
    "shared/step_panel.css",
    "shared/fields.css",
    "shared/filter_panel.css",
    "shared/gradient_tables.css",
)

STYLES: Final[dict[str, tuple[str, ...]]] = {
    "layer": (
        *_SHARED_STYLES,
        "layer/layer.css",
        "layer/narrow.css",
        "layer/backward.css",
        "layer/spread.css",
        "learning/learning.css",
        "quiz/quiz.css",
        "pictures/own_picture.css",
        "page/print.css",
    ),
    "network": (
        *_SHARED_STYLES,
        "network/graph.css",
        "network/cards.css",
        "network/network.css",
        "quiz/quiz.css",
        "pictures/own_picture.css",
        "page/print.css",
        "network/print.css",
    ),
}
STYLES["playground"] = (*STYLES["network"], "playground/playground.css")
