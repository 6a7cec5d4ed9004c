"""A GIF made from a GIF plays as often."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from engines import Engine
from streamstyle import paint_video


@pytest.mark.parametrize("loop", [None, 0, 3])
def test_gif_plays_as_often_as_before(tmp_path: Path, inverter: Engine, loop: int | None) -> None:
    source, target = tmp_path / "in.gif", tmp_path / "out.gif"
    frames = [Image.new("RGB", (32, 24), color) for color in ("red", "green", "blue")]
    times = {} if loop is None else {"loop": loop}
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=100, **times)
    paint_video(source, target, engine=inverter)
    with Image.open(target) as painted:
        assert painted.info.get("loop") == loop
