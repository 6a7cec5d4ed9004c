"""Fades from style to style."""

import pytest

from streamstyle.live.style_mixer import FADE_S, Fade


def test_the_old_style_fades_in_a_straight_line() -> None:
    fade = Fade()
    assert fade.previous_weight(10.0) == 0  # there is nothing to fade from
    fade.start()
    left = 1.0
    for part in (0.1, 0.25, 0.3, 0.75, 0.9):
        left *= fade.previous_weight(10.0 + part * FADE_S)
        assert left == pytest.approx(1 - part)
    assert fade.previous_weight(10.0 + FADE_S) == 0
    assert fade.previous_weight(10.1 + FADE_S) == 0
