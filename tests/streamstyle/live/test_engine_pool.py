"""Styles are loaded, changed and mixed while a session runs."""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engines import Engine, EngineError, open_engine
from streamstyle.errors import UserError
from streamstyle.live import engine_pool
from streamstyle.live.controls import Controls
from streamstyle.live.engine_pool import Choice, choose
from streamstyle.live.session import LiveSession
from streamstyle.painting.masks import open_mask
from streamstyle.styles import parse_style
from tests.helpers.live import (
    BLUE,
    ORANGE,
    Camera,
    alone,
    color_at,
    is_painted,
    named,
    open_plain,
    show_until,
)
from tests.helpers.models import write_inverter, write_two_styles


def test_style_fades_into_the_next_without_a_gap() -> None:
    with LiveSession(Camera, Controls(named("dark")), choose=alone(open_plain)) as session:
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))
        session.change(replace(session.controls, style=named("light")))
        seen = []
        longest_s = 0.0
        last_s = time.perf_counter()
        while not seen or seen[-1] != 200:
            frame = session.wait(1.0)
            assert frame is not None
            seen.append(color_at(frame, 0.5)[0])
            longest_s, last_s = max(longest_s, time.perf_counter() - last_s), time.perf_counter()
            session.was_shown(frame)
    assert seen == sorted(seen)
    assert len(set(seen)) > 5  # a fade, not a jump
    assert longest_s < 0.5  # frames keep coming, at 50 a second, while engines load


def test_two_styles_are_mixed_by_hand() -> None:
    with LiveSession(Camera, Controls(named("dark")), choose=alone(open_plain)) as session:
        session.change(replace(session.controls, second_style=named("light"), mix=0.25))
        show_until(session, lambda f: color_at(f, 0.5) == (50, 50, 50))
        session.change(replace(session.controls, mix=0.75))
        show_until(session, lambda f: color_at(f, 0.5) == (150, 150, 150))


@pytest.mark.parametrize("name", ["mix", "split", "stroke", "strength", "steady"])
def test_numbers_of_controls_are_from_0_to_1(name: str) -> None:
    with pytest.raises(UserError, match=r"must be from 0 to 1, got 1\.5"):
        replace(Controls(), **{name: 1.5})


def test_second_style_outside_of_a_mask_is_let_go(tmp_path: Path) -> None:
    Image.fromarray(np.eye(64, dtype=np.uint8) * 255).save(tmp_path / "mask.png")
    mask = open_mask(str(tmp_path / "mask.png"))
    controls = Controls(named("dark"), second_style=named("light"))
    with LiveSession(Camera, controls, choose=alone(open_plain), mask=mask) as session:
        pool = session._engines
        show_until(session, lambda _frame: pool._in_use == {named("dark"), named("light")})
        session.change(replace(session.controls, second_style=None))
        show_until(session, lambda _frame: pool._in_use == {named("dark")})


def two_styles(path: Path) -> Callable[[str], Choice]:
    """Return a chooser for the styles `same` and `negative` of one file."""
    write_two_styles(path)
    return lambda style: choose(
        parse_style(f"{path}:{style.parts[0].name}"), "openvino", "cpu", "fp32"
    )


def test_styles_of_one_model_glide_by_one_painting_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def open_once(*arguments: Any) -> Engine:
        opened.append(arguments[0])
        return open_engine(*arguments)

    monkeypatch.setattr(engine_pool, "open_engine", open_once)
    with LiveSession(
        Camera, Controls(named("same")), choose=two_styles(tmp_path / "two.onnx")
    ) as session:
        show_until(session, lambda _f: session.status().engine != "")
        session.change(replace(session.controls, style=named("negative")))
        seen = []
        show_until(session, lambda f: seen.append(color_at(f, 0.5)) or seen[-1] == BLUE)  # type: ignore[func-returns-value]
        session.change(replace(session.controls, second_style=named("same"), mix=0.5))
        show_until(session, lambda f: all(126 <= value <= 129 for value in color_at(f, 0.5)))
    blues = [blue for _red, _green, blue in seen]
    assert blues == sorted(blues)
    assert len(set(blues)) > 5  # a fade, not a jump
    assert len(opened) == 1


def test_file_that_has_changed_is_loaded_again_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_inverter(path)
    chosen = partial(choose, backend="openvino", device="cpu", precision="fp32")
    with LiveSession(Camera, Controls(parse_style(path)), choose=chosen) as session:
        show_until(session, is_painted)
        write_two_styles(path)  # its first style returns the picture unchanged
        session.change(replace(session.controls, style=parse_style(path)))
        show_until(session, lambda f: color_at(f, 0.5) == ORANGE)
        names, number = session.styles()
        assert ([*map(str, names)], number) == ([f"{path}:same", f"{path}:negative"], 0)
        session.next_style()
        show_until(session, is_painted)


def test_style_that_cannot_be_had_is_said_and_the_last_one_stays() -> None:
    with LiveSession(Camera, Controls(named("dark")), choose=alone(open_plain)) as session:
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))
        session.change(replace(session.controls, style=named("nonsense")))
        show_until(session, lambda _f: session.status().problems == ("no style nonsense",))
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))


def test_style_can_be_asked_for_again() -> None:
    missing = {"grey"}

    def opener(style: str) -> Engine:
        if style in missing:
            raise EngineError("grey.onnx does not exist")
        return open_plain(style)

    with LiveSession(Camera, Controls(named("dark")), choose=alone(opener)) as session:
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))
        session.change(replace(session.controls, style=named("grey")))
        show_until(session, lambda _f: session.status().problems != ())
        missing.clear()
        session.change(replace(session.controls, style=named("grey")))
        show_until(session, lambda f: color_at(f, 0.5) == (100, 100, 100))
        assert session.status().problems == ()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_loading_a_style_yields_to_painting(
    open_inverter: Callable[[str], Engine],
) -> None:
    def niceness() -> dict[int, int]:
        tasks = (int(task.name) for task in Path("/proc/self/task").iterdir())
        return {task: os.getpriority(os.PRIO_PROCESS, task) for task in tasks}

    with LiveSession(Camera, Controls(named("negative")), choose=alone(open_inverter)) as session:
        show_until(session, is_painted)
        before = niceness()  # includes threads that earlier tests left
        session.change(replace(session.controls, style=named("another")))
        (shelf,) = (t for t in threading.enumerate() if t.name == "streamstyle-engines")
        assert shelf.native_id is not None
        show_until(session, lambda _f: niceness()[shelf.native_id] == engine_pool.NICE)
        after = niceness()
        changed = [task for task in before.keys() & after.keys() if before[task] != after[task]]
        assert changed == [shelf.native_id]
