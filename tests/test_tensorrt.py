"""TensorRT's backend. No machine of ours has a GPU or TensorRT's libraries: what calls them runs on
doubles, which are held to the real packages' own signatures (tests/tensorrt_doubles.py), and paints
on the CPU where it would on CUDA. What it does without them, graphs and files, is real."""

import inspect
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("tensorrt_lean")

from engines import (
    Engine,
    EngineError,
    open_engine,
    plans,
    read_card,
    tensorrt_backend,
    tensorrt_plan,
)
from engines.diagnosis import FULL_TENSORRT, LEAN_TENSORRT, driver_problem
from engines.onnxruntime_backend import OnnxRuntimeEngine
from engines.plans import Recipe
from engines.tensorrt_backend import SIDES, TensorRtEngine, bounds_of
from engines.tensorrt_graph import for_tensorrt, inputs_of
from engines.tensorrt_plan import Plan, build
from streamstyle.limited import LimitedEngine
from tests.models import write_tinter
from tests.tensorrt_doubles import (
    Cuda,
    Gpu,
    Monitored,
    Package,
    Surface,
    surface_of,
    write_stubs,
)
from tests.test_engines import picture
from tests.test_tensorrt_plans import RECIPE


@pytest.fixture(scope="session")
def lean_surface() -> Surface:
    return surface_of("tensorrt_lean")


@pytest.fixture(scope="session")
def full_surface(tmp_path_factory: pytest.TempPathFactory) -> Surface:
    """Of what builds: TensorRT's own Python package, on libraries that are empty."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("stubs")
    write_stubs(folder)
    return surface_of("tensorrt_bindings", folder)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    gpu = Gpu("tint")
    monkeypatch.setattr(tensorrt_plan, "cuda", Cuda(gpu))
    yield gpu
    assert not gpu.blocks  # all freed


def test_plan_paints(gpu: Gpu, lean_surface: Surface) -> None:
    plan = Plan(Package(lean_surface, gpu.answers), b"a plan")
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


def test_style_inputs_reach_the_plan(gpu: Gpu, lean_surface: Surface) -> None:
    plan = Plan(Package(lean_surface, gpu.answers), b"a plan")
    tint = np.array([1, 0.5, 0], np.float32)
    plan.run({"frame": picture(16, 16), "tint": tint})
    assert gpu.shapes["tint"] == (3,)
    assert np.array_equal(np.frombuffer(gpu.blocks[gpu.addresses["tint"]], np.float32), tint)
    plan.close()


def test_plan_that_is_not_taken(gpu: Gpu, lean_surface: Surface) -> None:
    with pytest.raises(EngineError, match="--forget-plans"):
        Plan(Package(lean_surface, gpu.answers), b"broken")


class Builds:
    """What building gives."""

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
        if name != "__init__":  # TensorRT calls these
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


# Where CUDA does not work

OPENED = """
import sys
from pathlib import Path
from engines import EngineError, open_engine, read_card
from engines.tensorrt_backend import TensorRtEngine

path = Path(sys.argv[1])
for opens in (
    lambda: open_engine(path, "tensorrt"),
    lambda: TensorRtEngine(read_card(path), None, "lean", "fp32"),
):
    try:
        opens()
    except EngineError as error:
        print(error)
"""


@pytest.mark.skipif(driver_problem() is None, reason="CUDA works here")
def test_cuda_is_asked_for_before_tensorrt(inverter_path: Path) -> None:
    """In a process of its own, which TensorRT's real lean runtime would kill."""
    command = [sys.executable, "-c", OPENED, str(inverter_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    by_driver, by_cuda = run.stdout.splitlines()
    assert "NVIDIA" in by_driver
    assert by_cuda.startswith("CUDA does not work: ")


# The engine


class Machine:
    """One with a GPU, on which CUDA is the CPU, and TensorRT or its lean runtime is installed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, surface: Surface, path: Path) -> None:
        self.gpu = Gpu()
        self.builds, self.may_build = threading.Event(), threading.Event()
        self.built: list[Recipe] = []
        self.module = FULL_TENSORRT
        self.outcome: Callable[[], bytes] = lambda: b"a plan"
        self._card = read_card(path)
        package = Package(surface, self.gpu.answers)
        monkeypatch.setattr(tensorrt_plan, "cuda", Cuda(self.gpu))
        monkeypatch.setattr(tensorrt_backend, "installed_tensorrt", lambda: self.module)
        monkeypatch.setattr(tensorrt_backend, "import_module", lambda _name: package)
        monkeypatch.setattr(tensorrt_backend, "build", self._build)
        monkeypatch.setattr(
            "engines.onnxruntime_backend.OnnxRuntimeEngine",
            lambda card, part, _device, precision: OnnxRuntimeEngine(card, part, "cpu", precision),
        )

    def open(self, device: str = "auto", precision: str = "auto") -> TensorRtEngine:
        return TensorRtEngine(self._card, None, device, precision)

    def _build(
        self, _trt: Any, _graph: bytes, recipe: Recipe, timings: bytes, wanted: Callable[[], bool]
    ) -> tuple[bytes | None, bytes]:
        self.built.append(recipe)
        self.builds.set()
        while wanted():
            if self.may_build.wait(0.01):
                return self.outcome(), timings + b"a timing "
        return None, timings + b"half a timing "


@pytest.fixture
def machine(
    monkeypatch: pytest.MonkeyPatch, lean_surface: Surface, inverter_path: Path, plans_folder: Path
) -> Iterator[Machine]:
    machine = Machine(monkeypatch, lean_surface, inverter_path)
    yield machine
    assert not machine.gpu.blocks


FRAMES = picture(48, 64)


def wait_for_building(engine: TensorRtEngine) -> None:
    assert engine._builder is not None
    engine._builder.join()


def what_paints(engine: Engine) -> tuple[str, str, str]:
    return engine.backend, engine.device, engine.precision


def test_cuda_paints_until_there_is_a_plan(machine: Machine, plans_folder: Path) -> None:
    with machine.open(precision="fp16") as engine:
        around = LimitedEngine(engine)
        engine.prepare(48, 64)  # does not wait
        for _ in range(3):
            assert np.array_equal(engine.paint(FRAMES), 255 - FRAMES)
            assert what_paints(around) == ("onnxruntime", "cpu", "fp32")
        assert not machine.gpu.loaded
        machine.may_build.set()
        wait_for_building(engine)
        assert np.array_equal(engine.paint(FRAMES), 255 - FRAMES)
        assert machine.gpu.addresses  # by the plan
        assert what_paints(around) == ("tensorrt", "cuda", "fp16")
        machine.may_build.clear()
        tall = picture(1000, 20)  # has a plan of its own
        assert np.array_equal(engine.paint(tall), 255 - tall)
        assert what_paints(around) == ("onnxruntime", "cpu", "fp32")
        machine.may_build.set()
        wait_for_building(engine)
    names = [recipe.plan_name for recipe in machine.built]
    timings = {recipe.timings_name for recipe in machine.built}
    assert len(names) == 2
    assert {path.name for path in plans_folder.iterdir()} == {*names, *timings}
    assert [plans.read(name) for name in timings] == [b"a timing a timing "]


def test_a_kept_plan_is_not_built_again(machine: Machine) -> None:
    machine.may_build.set()
    for _ in range(2):
        with machine.open() as engine:
            engine.prepare(48, 64)
            wait_for_building(engine)
            engine.paint(FRAMES)
            assert engine.backend == "tensorrt"
    assert len(machine.built) == 1


def fail() -> bytes:
    raise EngineError("out of luck")


@pytest.mark.parametrize("outcome", [fail, lambda: b"broken"])
def test_what_can_not_be_built_is_said_once_and_cuda_goes_on(
    machine: Machine, outcome: Callable[[], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    machine.may_build.set()
    machine.outcome = outcome
    with machine.open() as engine:
        for side in (48, 700):
            engine.prepare(side, side)
            wait_for_building(engine)
            assert np.array_equal(engine.paint(FRAMES), 255 - FRAMES)
        assert what_paints(engine) == ("onnxruntime", "cpu", "fp32")
    assert len(machine.built) == 1
    (message,) = caplog.messages
    assert message.startswith("TensorRT builds no more plans of inverter.onnx: ")


def test_closing_ends_the_building(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """And that of another engine, which waits for its turn; what was timed is kept."""
    first, second = machine.open(), machine.open()
    first.prepare(48, 64)
    machine.builds.wait()
    second.prepare(48, 64)
    second.close()
    first.close()
    first.close()
    (recipe,) = machine.built
    assert plans.read(recipe.timings_name) == b"half a timing "
    assert plans.read(recipe.plan_name) is None
    assert not caplog.messages
    with pytest.raises(EngineError, match="closed"):
        first.paint(FRAMES)


def test_more_than_one_frame_and_frames_too_large_are_for_cuda(machine: Machine) -> None:
    with machine.open() as engine:
        frames = np.repeat(FRAMES, 2, axis=0)
        assert np.array_equal(engine.paint(frames), 255 - frames)
        engine.prepare(16, SIDES[-1] + 1)
    assert not machine.built


def test_lean_runtime_runs_what_was_built_elsewhere(machine: Machine) -> None:
    machine.may_build.set()
    with machine.open("lean", "fp16") as engine:
        engine.prepare(48, 64)
        wait_for_building(engine)
    assert [recipe.is_lean for recipe in machine.built] == [True]
    machine.module = LEAN_TENSORRT
    with machine.open(precision="fp16") as engine:
        assert np.array_equal(engine.paint(FRAMES), 255 - FRAMES)
        assert what_paints(engine) == ("tensorrt", "lean", "fp16")
        with pytest.raises(EngineError, match="no plan takes"):
            engine.paint(np.repeat(FRAMES, 2, axis=0))
        with pytest.raises(EngineError, match=r"no plan of inverter\.onnx in fp16.*Some GPU 9\.0"):
            engine.prepare(700, 700)
    with pytest.raises(EngineError, match=r'pip install "streamstyle\[tensorrt\]".*--device lean'):
        machine.open("cuda")


def test_plans_for_lean_are_plans_of_their_own(machine: Machine) -> None:
    machine.may_build.set()
    for device in ("cuda", "lean"):
        with machine.open(device) as engine:
            engine.prepare(48, 64)
            wait_for_building(engine)
    assert len({recipe.plan_name for recipe in machine.built}) == 2


def test_style_inputs_are_those_of_the_model(
    monkeypatch: pytest.MonkeyPatch, lean_surface: Surface, tmp_path: Path
) -> None:
    write_tinter(tmp_path / "tinter.onnx")
    machine = Machine(monkeypatch, lean_surface, tmp_path / "tinter.onnx")
    machine.module = LEAN_TENSORRT
    with machine.open() as engine:
        assert engine.style_inputs == {"tint": (3,)}
        with pytest.raises(EngineError, match=r"style inputs are \['tint'\], got \[\]"):
            engine.paint(FRAMES)


@pytest.mark.parametrize(
    ("device", "precision", "words"),
    [("toaster", "auto", "no device toaster; it has cuda, lean"), ("cuda", "int8", "fp32.*int8")],
)
def test_what_there_is_not(machine: Machine, device: str, precision: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        machine.open(device, precision)


def test_onnxruntimes_tensorrt_is_a_device_with_precisions_of_its_own(inverter_path: Path) -> None:
    with pytest.raises(EngineError, match=r"fp32 or fp16.*bf16"):
        open_engine(inverter_path, "onnxruntime", "tensorrt", "bf16")
