"""TensorRT's backend, on doubles of TensorRT and CUDA (tests/helpers/tensorrt_doubles.py).

None of our machines has a GPU or TensorRT's libraries, so the CPU paints what CUDA would paint.
Graphs and files are real.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_lean")

from engines import Engine, EngineError, ModelCard, open_engine, read_card
from engines.availability import FULL_TENSORRT, LEAN_TENSORRT, driver_problem
from engines.onnxruntime_.engine import OnnxRuntimeEngine
from engines.tensorrt_ import engine, plan, plan_cache
from engines.tensorrt_.engine import SIDES, TensorRtEngine
from engines.tensorrt_.plan_cache import Recipe
from streamstyle.painting.pixel_budget import LimitedEngine
from tests.helpers.frames import picture
from tests.helpers.models import write_tinter
from tests.helpers.tensorrt_doubles import Cuda, Gpu, Package, Surface, surface_of


@pytest.fixture(scope="session")
def lean_surface() -> Surface:
    return surface_of("tensorrt_lean")


# Without CUDA

OPENED = """
import sys
from pathlib import Path
from engines import EngineError, open_engine, read_card
from engines.tensorrt_.engine import TensorRtEngine

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
    """Runs in its own process, because TensorRT's real lean runtime would kill it."""
    command = [sys.executable, "-c", OPENED, str(inverter_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    by_driver, by_cuda = run.stdout.splitlines()
    assert "NVIDIA" in by_driver
    assert by_cuda.startswith("CUDA does not work: ")


# The engine on doubles


class Machine:
    """A simulated machine with a GPU, on which the CPU stands in for CUDA.

    TensorRT or its lean runtime is installed, as `module` says.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, surface: Surface, path: Path) -> None:
        self.gpu = Gpu()
        self.builds, self.may_build = threading.Event(), threading.Event()
        self.built: list[Recipe] = []
        self.module = FULL_TENSORRT
        self.outcome: Callable[[], bytes] = lambda: b"a plan"
        self._card = read_card(path)
        package = Package(surface, self.gpu.answers)
        monkeypatch.setattr(plan, "cuda", Cuda(self.gpu))
        monkeypatch.setattr(engine, "installed_tensorrt", lambda: self.module)
        monkeypatch.setattr(engine, "import_module", lambda _name: package)
        monkeypatch.setattr(engine, "build", self._build)
        monkeypatch.setattr(
            "engines.onnxruntime_.engine.OnnxRuntimeEngine",
            self._onnxruntime,
        )

    def open(self, device: str = "auto", precision: str = "auto") -> TensorRtEngine:
        return TensorRtEngine(self._card, None, device, precision)

    def _onnxruntime(
        self, card: ModelCard, part: str | None, device: str, precision: str
    ) -> OnnxRuntimeEngine:
        self.onnxruntime_device = device
        return OnnxRuntimeEngine(card, part, "cpu", precision)

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
    assert not machine.gpu.graphs


FRAMES = picture(48, 64)


def wait_for_building(engine: TensorRtEngine) -> None:
    assert engine._builder is not None
    engine._builder.join()


def what_paints(engine: Engine) -> tuple[str, str, str]:
    return engine.backend, engine.device, engine.precision


def test_cuda_paints_until_there_is_a_plan(machine: Machine, plans_folder: Path) -> None:
    with machine.open(precision="fp16") as engine:
        around = LimitedEngine(engine)
        engine.prepare(48, 64)  # returns at once
        for _ in range(3):
            assert np.array_equal(engine.paint(FRAMES), 255 - FRAMES)
            assert what_paints(around) == ("onnxruntime", "cpu", "fp32")
        assert not machine.gpu.loaded
        machine.may_build.set()
        wait_for_building(engine)
        assert np.array_equal(engine.paint(FRAMES), 255 - FRAMES)
        assert machine.gpu.addresses  # the plan painted
        assert what_paints(around) == ("tensorrt", "cuda", "fp16")
        machine.may_build.clear()
        tall = picture(1000, 20)  # needs another plan
        assert np.array_equal(engine.paint(tall), 255 - tall)
        assert what_paints(around) == ("onnxruntime", "cpu", "fp32")
        machine.may_build.set()
        wait_for_building(engine)
    names = [recipe.plan_name for recipe in machine.built]
    timings = {recipe.timings_name for recipe in machine.built}
    assert len(names) == 2
    assert {path.name for path in plans_folder.iterdir()} == {*names, *timings}
    assert [plan_cache.read(name) for name in timings] == [b"a timing a timing "]


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
    """Closing also ends the build of an engine that still waits; timings so far are kept."""
    first, second = machine.open(), machine.open()
    first.prepare(48, 64)
    machine.builds.wait()
    second.prepare(48, 64)
    second.close()
    first.close()
    first.close()
    (recipe,) = machine.built
    assert plan_cache.read(recipe.timings_name) == b"half a timing "
    assert plan_cache.read(recipe.plan_name) is None
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
    with pytest.raises(EngineError, match=r'pip install "\.\[tensorrt\]".*--device lean'):
        machine.open("cuda")


def test_each_gpu_has_an_engine_of_its_own(machine: Machine) -> None:
    """Each engine uses only its own GPU; a plan depends on the GPU model, not on its number."""
    machine.may_build.set()
    for device, number in (("cuda", 0), ("cuda:1", 1)):
        machine.gpu.devices.clear()
        with machine.open(device) as engine:
            engine.prepare(48, 64)
            wait_for_building(engine)
            engine.paint(FRAMES)
            assert what_paints(engine) == ("tensorrt", device, "fp32")
        assert set(machine.gpu.devices) == {number}
        assert machine.onnxruntime_device == device
    assert len(machine.built) == 1


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
    [
        ("toaster", "auto", "no device toaster; it has cuda, lean"),
        ("cuda:one", "auto", "no device cuda:one; only cuda, lean"),
        ("cuda", "int8", "fp32.*int8"),
    ],
)
def test_what_there_is_not(machine: Machine, device: str, precision: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        machine.open(device, precision)


def test_onnxruntimes_tensorrt_is_a_device_with_precisions_of_its_own(inverter_path: Path) -> None:
    with pytest.raises(EngineError, match=r"fp32 or fp16.*bf16"):
        open_engine(inverter_path, "onnxruntime", "tensorrt", "bf16")
