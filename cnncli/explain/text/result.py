"""The text of an explanation: the way to an output or back to an input, and the trail."""

from __future__ import annotations

from cnncli.explain.backward import BackwardExplanation
from cnncli.explain.model import Explanation
from cnncli.explain.run import ExplainResult
from cnncli.explain.text.backward import backward_lines
from cnncli.explain.text.forward import TextOptions, forward_lines
from cnncli.explain.text.trail import trail_lines


def result_lines(
    result: ExplainResult[Explanation] | ExplainResult[BackwardExplanation], options: TextOptions
) -> list[str]:
    """Return all that `cnncli explain` prints as lines.

    Parameters
    ----------
    result : ExplainResult
    options : TextOptions
    """
    explanation: Explanation | BackwardExplanation = result.explanation
    if isinstance(explanation, BackwardExplanation):
        lines = backward_lines(explanation, options)
    else:
        lines = forward_lines(explanation, options)
    if result.trail is not None:
        lines += ["", *trail_lines(result.trail, options.width)]
    return lines
