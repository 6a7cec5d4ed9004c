"""Several devices with one engine each; all are the same CPU, as we have no machine with GPUs."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from engines import ZOO, EngineError, open_engine
from engines.multi_device import MultiDeviceEngine
from streamstyle.api import VideoSettings, paint_video
from streamstyle.sinks import Encoding
from tests.helpers.clips import make_clip, read_clip
from tests.helpers.frames import picture


def test_each_frame_goes_to_the_one_that_is_idle_the_longest(inverter_path: Path) -> None:
    with ExitStack() as stack:
        engines = [
            stack.enter_context(open_engine(inverter_path, "openvino", "cpu", "fp32"))
            for _ in range(3)
        ]
        sizes: list[list[int]] = [[] for _ in engines]
        for engine, seen in zip(engines, sizes, strict=True):
            engine.run = _noting(engine.run, seen)  # type: ignore[method-assign]
        team = MultiDeviceEngine(engines)
        for side in range(16, 22):
            assert np.array_equal(team.paint(picture(side, 32)), 255 - picture(side, 32))
    assert sizes == [[16, 19], [17, 20], [18, 21]]


def _noting(run, seen):  # type: ignore[no-untyped-def]
    def noting(frames, style):  # type: ignore[no-untyped-def]
        seen.append(frames.shape[1])
        return run(frames, style)

    return noting


def test_as_many_paint_at_once_as_there_are(inverter_path: Path) -> None:
    with open_engine(inverter_path, "openvino", "cpu,cpu,cpu", "fp32") as team:
        assert (team.backend, team.device, team.precision) == ("openvino", "CPU,CPU,CPU", "fp32")
        assert team.set_concurrency(2) == 3
        assert team.set_concurrency(4) == 6
        team.prepare(48, 64)
        frames = [picture(48, 64, seed=n) for n in range(24)]
        with ThreadPoolExecutor(6) as pool:
            painted = list(pool.map(team.paint, frames))
        assert team.set_concurrency(1) == 1
        for before, after in zip(frames, painted, strict=True):
            assert np.array_equal(after, 255 - before)
    with pytest.raises(EngineError, match="closed"):
        team.paint(frames[0])


def test_a_video_comes_out_in_order(tmp_path: Path, inverter_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    lossless = Encoding("ffv1")
    for device in ("cpu", "cpu,cpu"):
        painted = tmp_path / f"{device}.mkv"
        with open_engine(inverter_path, "openvino", device, "fp32") as engine:
            report = paint_video(
                clip, painted, engine=engine, settings=VideoSettings(encoding=lossless)
            )
    assert report.engine == "openvino on cpu,cpu in fp32"
    alone, both = (read_clip(tmp_path / f"{device}.mkv").frames for device in ("cpu", "cpu,cpu"))
    assert len(alone) == len(both) == 25
    assert all(np.array_equal(one, other) for one, other in zip(alone, both, strict=True))


def test_one_that_cannot_be_had_is_an_error(inverter_path: Path) -> None:
    with pytest.raises(EngineError, match="no device toaster"):
        open_engine(inverter_path, "openvino", "cpu,toaster")


@pytest.mark.parametrize("device", ["cpu:1", "cuda:", "cuda:one"])
def test_numbers_are_of_what_there_may_be_several_of(inverter_path: Path, device: str) -> None:
    with pytest.raises(EngineError, match=f"no device {device}; only cuda, directml"):
        open_engine(inverter_path, "onnxruntime", device)


def test_precisions_do_not_take_turns(inverter_path: Path) -> None:
    with (
        open_engine(ZOO / "medium.onnx", "openvino", "cpu", "fp32") as fine,
        open_engine(ZOO / "medium.onnx", "openvino", "cpu", "int8") as coarse,
        pytest.raises(EngineError, match="would paint in fp32 and int8; give one --precision"),
    ):
        MultiDeviceEngine([fine, coarse])


def test_frames_that_depend_on_each_other_go_to_one(inverter_path: Path) -> None:
    with pytest.raises(EngineError, match=r"wct.onnx paints each frame with .* give one --device"):
        open_engine(ZOO / "wct.onnx", "openvino", "cpu,cpu")
