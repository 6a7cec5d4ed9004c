"""Every call to TensorRT's and CUDA's packages, on doubles (tests/helpers/tensorrt_doubles.py).

The doubles accept what the real packages accept; none of our machines has a GPU or TensorRT's
libraries.
"""

import inspect
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("tensorrt_lean")

from engines import EngineError
from engines.tensorrt_ import plan
from engines.tensorrt_.engine import bounds_of
from engines.tensorrt_.graph import for_tensorrt, inputs_of
from engines.tensorrt_.plan import Plan, build
from tests.helpers.frames import picture
from tests.helpers.tensorrt_doubles import (
    RECIPE,
    Cuda,
    Gpu,
    Monitored,
    Package,
    Surface,
    surface_of,
    write_stubs,
)


@pytest.fixture(scope="session")
def lean_surface() -> Surface:
    return surface_of("tensorrt_lean")


@pytest.fixture(scope="session")
def full_surface(tmp_path_factory: pytest.TempPathFactory) -> Surface:
    """The API of TensorRT's own Python package, which builds plans, read with stub libraries."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("stubs")
    write_stubs(folder)
    return surface_of("tensorrt_bindings", folder)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    gpu = Gpu("tint")
    monkeypatch.setattr(plan, "cuda", Cuda(gpu))
    yield gpu
    assert not gpu.blocks  # all freed
    assert not gpu.graphs


def test_plan_paints(gpu: Gpu, lean_surface: Surface) -> None:
    plan = Plan(Package(lean_surface, gpu.answers), b"a plan", 0)
    kept = []
    for height, width in ((48, 64), (16, 16), (96, 128), (48, 64)):
        frames = picture(height, width)[:, ::2, ::-1]
        frames.flags.writeable = False
        painted = plan.run({"frame": frames})["stylized"]
        assert np.array_equal(painted, 255 - frames)
        kept.append((painted, frames))
    for painted, frames in kept:  # no later frame wrote over it
        assert np.array_equal(painted, 255 - frames)
        painted[:] = 0
    assert gpu.loaded == [b"a plan"]
    plan.close()


@pytest.mark.parametrize("can_capture", [True, False])
def test_frames_of_a_size_are_launched_as_one_graph(
    gpu: Gpu, lean_surface: Surface, can_capture: bool
) -> None:
    """A graph is launched from the second frame on; without capture, each frame is enqueued."""
    gpu.can_capture = can_capture
    package = Package(lean_surface, gpu.answers)
    plan = Plan(package, b"a plan", 0)
    for number, (height, width) in enumerate([(48, 64)] * 4 + [(16, 16)] + [(48, 64)] * 2):
        frames = picture(height, width, seed=number)
        assert np.array_equal(plan.run({"frame": frames})["stylized"], 255 - frames)
    asked = package.called.count("IExecutionContext.execute_async_v3")
    assert (gpu.launches, asked) == ((4, 5) if can_capture else (0, 8))
    plan.close()


def test_style_inputs_reach_the_plan(gpu: Gpu, lean_surface: Surface) -> None:
    plan = Plan(Package(lean_surface, gpu.answers), b"a plan", 0)
    tint = np.array([1, 0.5, 0], np.float32)
    plan.run({"frame": picture(16, 16), "tint": tint})
    assert gpu.shapes["tint"] == (3,)
    assert np.array_equal(np.frombuffer(gpu.blocks[gpu.addresses["tint"]], np.float32), tint)
    plan.close()


def test_plan_that_is_not_taken(gpu: Gpu, lean_surface: Surface) -> None:
    with pytest.raises(EngineError, match="--forget-plans"):
        Plan(Package(lean_surface, gpu.answers), b"broken", 0)


class Builds:
    """Answers of the package while a plan is built, and what it was told."""

    def __init__(self, plan: Any = ...) -> None:
        self.monitors: list[Any] = []
        self.profile: dict[str, Any] = {}
        self.flags: list[str] = []
        self.answers: dict[str, Any] = {
            "IHostMemory": b"data",
            "Builder.build_serialized_network": lambda _network, _config: plan,
            "OnnxParser.parse": lambda graph: bool(onnx.load_from_string(graph).graph.node),
            "OnnxParser.num_errors": 0,
            "IBuilderConfig.progress_monitor =": self.monitors.append,
            "IBuilderConfig.set_flag": self.flags.append,
            "IOptimizationProfile.set_shape": self._set_shape,
        }

    def _set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
        self.profile[name] = shapes


@pytest.mark.parametrize("is_lean", [False, True])
def test_building(full_surface: Surface, inverter_path: Path, is_lean: bool) -> None:
    builds = Builds()
    graph = for_tensorrt(inverter_path, "fp16")
    bounds = bounds_of(inputs_of(graph), 640)
    recipe = replace(RECIPE, bounds=bounds, is_lean=is_lean)
    made = build(Package(full_surface, builds.answers), graph, recipe, b"", lambda: True)
    assert made == (b"data", b"data")
    assert builds.profile == bounds
    assert builds.flags == (["VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME"] if is_lean else [])


def test_building_ends_when_it_is_no_longer_wanted(
    full_surface: Surface, inverter_path: Path
) -> None:
    wanted = [True]
    builds = Builds(None)
    package = Package(full_surface, builds.answers)
    arguments = package, for_tensorrt(inverter_path, "fp32"), RECIPE, b"", lambda: wanted[0]
    with pytest.raises(EngineError, match="can't build"):
        build(*arguments)
    (monitor,) = builds.monitors
    assert isinstance(monitor, Monitored)
    for name, overloads in full_surface["IProgressMonitor"].items():
        if name != "__init__":  # TensorRT calls the others
            assert overloads is not None
            parameters = [part.partition(":")[0] for part in overloads[0][0].split(", ")]
            assert list(inspect.signature(getattr(monitor, name)).parameters) == parameters
    assert monitor.step_complete("a phase", 1)
    wanted[0] = False
    assert not monitor.step_complete("a phase", 2)
    assert build(*arguments) == (None, b"data")


def test_model_that_tensorrt_can_not_read(full_surface: Surface) -> None:
    builds = Builds()
    builds.answers["OnnxParser.parse"] = lambda _graph: False
    with pytest.raises(EngineError, match="can't read the model"):
        build(Package(full_surface, builds.answers), b"", RECIPE, b"", lambda: True)
