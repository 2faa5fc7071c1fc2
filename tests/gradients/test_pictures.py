"""How gradients and winners are laid over a picture."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.gradients.pictures import mark_winners, overlay
from cnncli.render.grey_levels import LevelMapping


def test_an_overlay_is_grey_where_nothing_pulls_and_coloured_where_something_does() -> None:
    photo = np.array([[[0.0], [1.0], [1.0], [0.5]]])
    seen = overlay(photo, np.array([[0.0, 0.0, 4.0, -1.0]]), 4.0)[0]
    np.testing.assert_allclose(seen[0], [0.1] * 3, atol=1e-6)
    np.testing.assert_allclose(seen[1], [0.6] * 3, atol=1e-6)
    assert seen[2, 0] > 0.9 > 0.2 > max(seen[2, 1:])  # all red
    assert seen[3, 2] > seen[3, 1] > seen[3, 0]  # bluish
    hidden = 0.25**0.7
    assert seen[3, 2] == pytest.approx(0.35 * (1 - hidden) + hidden)
    assert ((seen >= 0) & (seen <= 1)).all()


def test_an_overlay_of_nothing_is_the_photo() -> None:
    photo = np.random.default_rng(7).uniform(size=(3, 4, 3))
    seen = overlay(photo, np.zeros((3, 4)), 0.0)
    grey = 0.1 + 0.5 * (photo @ [0.299, 0.587, 0.114])
    np.testing.assert_allclose(seen, np.repeat(grey[..., None], 3, axis=2), atol=1e-6)


def test_values_beyond_those_of_pictures_are_stretched() -> None:
    seen = overlay(np.array([[[-10.0], [30.0], [10.0]]]), np.zeros((1, 3)), 0.0)
    np.testing.assert_allclose(seen[0, :, 0], [0.1, 0.6, 0.35], atol=1e-6)
    flat = overlay(np.full((1, 2, 1), 7.0), np.zeros((1, 2)), 0.0)
    np.testing.assert_allclose(flat, 0.1, atol=1e-6)


def test_winners_are_orange_and_all_others_grey() -> None:
    values, wins = np.array([[0.0, 1.0, 1.0, 0.0]]), np.array([[0.0, 0.0, 2.0, 1.0]])
    seen = mark_winners(values, wins, LevelMapping("minmax", 0.0, 1.0))[0]
    np.testing.assert_allclose(seen[0], [0.15] * 3, atol=1e-6)
    np.testing.assert_allclose(seen[1], [0.75] * 3, atol=1e-6)
    for cell in seen[2:]:
        assert cell[0] > cell[1] > cell[2]
    assert (seen[2] > seen[3]).all()
