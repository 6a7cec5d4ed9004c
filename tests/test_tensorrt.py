"""TensorRT's backend. No machine of ours has a GPU or TensorRT's libraries: what calls them runs on
doubles, which are held to the real packages' own signatures (tests/tensorrt_doubles.py), and paints
on the CPU where it would on CUDA. What it does without them, graphs and files, is real."""

import inspect
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

pytest.importorskip("tensorrt_lean")

from engines import (
    ZOO,
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
from engines.parts import graph_of
from engines.plans import Recipe
from engines.tensorrt_backend import SIDES, TensorRtEngine, bounds_of, fits
from engines.tensorrt_graph import HALVES, PRECISIONS, for_tensorrt, inputs_of
from engines.tensorrt_plan import Plan, build
from streamstyle.cli import main
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
from tests.test_engines import MODELS, inputs_for, picture, psnr

HALF_DB = {"fp16": 58.0, "bf16": 48.0}
"""Of a frame painted in half precision, beside float32."""

GRAPHS = [(path, part) for path in MODELS for part in read_card(path).parts or (None,)]


# The graph


def styled(graph: onnx.GraphProto) -> dict[str, Any]:
    """A frame, and what stands for a style."""
    random = np.random.default_rng(2)
    inputs: dict[str, Any] = {"frame": picture(33, 50)}
    for port in graph.input[1:]:
        shape = [side.dim_value or 1 for side in port.type.tensor_type.shape.dim]
        inputs[port.name] = random.uniform(0.01, 0.1, shape).astype(np.float32)
        if port.name == "transform":
            inputs[port.name] += np.eye(shape[1], dtype=np.float32)
    return inputs


def painted_on_cpu(graph: Path | bytes, inputs: dict[str, Any]) -> list[Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


@pytest.mark.parametrize(("path", "part"), GRAPHS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_graph_is_one_that_tensorrt_knows(path: Path, part: str | None, precision: str) -> None:
    """Bytes only at the ends; in half precision only convolutions and linear layers."""
    model = onnx.load_from_string(for_tensorrt(graph_of(read_card(path), part), precision))
    onnx.checker.check_model(model, full_check=True)
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    assert {name for name, type_ in types.items() if type_ == TensorProto.UINT8} == {
        "frame",
        "stylized",
    }
    half = HALVES.get(precision, TensorProto.FLOAT)
    for node in graph.node:
        taken = {types[name] for name in node.input if name in types}
        if node.op_type == "Conv":
            assert taken == {half}
            assert all(name in types for name in node.input)
        elif node.op_type not in ("Cast", "MatMul"):
            assert not taken & set(HALVES.values()), node.op_type
    stored = {tensor.name for tensor in graph.initializer}
    assert not [n for n in graph.node if n.op_type == "Cast" and n.input[0] in stored]


@pytest.mark.parametrize(("path", "part"), GRAPHS)
def test_graph_paints_the_same_picture(path: Path, part: str | None) -> None:
    graph = graph_of(read_card(path), part)
    taken = for_tensorrt(graph, "fp32")
    inputs = styled(onnx.load_from_string(taken).graph)
    for given, expected in zip(
        painted_on_cpu(taken, inputs), painted_on_cpu(graph, inputs), strict=True
    ):
        assert np.array_equal(given, expected)


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize(("path", "part"), GRAPHS)
def test_half_precision_paints_nearly_the_same(
    path: Path, part: str | None, precision: str
) -> None:
    """By ONNX's reference, which computes as the types of the graph say."""
    graph = graph_of(read_card(path), part)
    inputs = styled(onnx.load_from_string(for_tensorrt(graph, "fp32")).graph)
    taken = onnx.load_from_string(for_tensorrt(graph, precision))
    painted = ReferenceEvaluator(taken).run(["stylized"], inputs)[0]
    names = [port.name for port in taken.graph.output]
    expected = painted_on_cpu(graph, inputs)[names.index("stylized")]
    assert HALF_DB[precision] < psnr(painted, expected) < 99


# The sizes of a plan


def test_a_few_plans_take_every_size_of_a_ladder() -> None:
    shapes = inputs_of(for_tensorrt(ZOO / "medium.onnx", "fp32"))
    assert shapes == {"frame": (-1, -1, -1, 3), "style_weights": (16,)}
    bounds = bounds_of(shapes, 1280)
    assert bounds["frame"] == ((1, 16, 16, 3), (1, 720, 1280, 3), (1, 1280, 1280, 3))
    assert bounds["style_weights"] == ((16,),) * 3
    for height, width in ((16, 16), (720, 1280), (1280, 720), (216, 384)):
        assert fits({"frame": (1, height, width, 3), "style_weights": (16,)}, bounds)
    assert not fits({"frame": (1, 720, 1281, 3)}, bounds)
    assert not fits({"frame": (2, 720, 1280, 3)}, bounds)


def test_styles_of_any_size_fit() -> None:
    card = read_card(ZOO / "wct.onnx")
    bounds = bounds_of(inputs_of(for_tensorrt(graph_of(card, "relu2_1"), "fp32")), SIDES[0])
    assert fits({"transform": (2, 32, 32), "center": (2, 32), "masks": (2, 180, 320)}, bounds)
    assert not fits({"transform": (3, 32, 32)}, bounds)
    card = read_card(ZOO / "stytr2.onnx")
    bounds = bounds_of(inputs_of(for_tensorrt(graph_of(card, None), "fp32")), SIDES[0])
    style = inputs_for(ZOO / "stytr2.onnx")
    assert fits({name: array.shape for name, array in style.items()}, bounds)


# The files

RECIPE = Recipe("1234", {"frame": ((1,), (2,), (3,))}, False, "10.16.1.11", "Some GPU 9.0")


def test_a_plan_is_named_by_all_that_it_depends_on() -> None:
    changes: list[dict[str, Any]] = [
        {"graph_sha256": "1235"},
        {"bounds": {"frame": ((1,), (2,), (4,))}},
        {"is_lean": True},
        {"tensorrt": "10.16.2.1"},
        {"gpu": "Some GPU 8.9"},
        {"system": "another"},
    ]
    assert {name for change in changes for name in change} == set(vars(RECIPE))
    names = {RECIPE.plan_name, *(replace(RECIPE, **change).plan_name for change in changes)}
    assert len(names) == 1 + len(changes)
    assert replace(RECIPE).plan_name == RECIPE.plan_name


def test_a_graph_is_of_its_model_part_and_precision() -> None:
    card = read_card(ZOO / "wct.onnx")
    graphs = {
        for_tensorrt(graph_of(card, part), precision)
        for part in ("relu1_1", "relu2_1")
        for precision in PRECISIONS
    }
    assert len(graphs) == 6
    assert for_tensorrt(graph_of(card, "relu1_1"), "fp32") in graphs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(plans, "FOLDER", tmp_path / "plans")
    return tmp_path / "plans"


WRITER = """
import sys
from pathlib import Path
from engines import plans

plans.FOLDER = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(30):
    plans.keep("one.plan", sys.argv[2].encode() * 4_000_000)
"""


def test_two_processes_may_keep_the_same_plan(folder: Path) -> None:
    """Whoever reads meanwhile gets the whole of one of them."""
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WRITER, str(folder), letter],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for letter in "ab"
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            print("go", file=writer.stdin, flush=True)
        while any(writer.poll() is None for writer in writers):
            data = plans.read("one.plan")
            assert data is None or (len(data) == 4_000_000 and len(set(data)) == 1)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [path.name for path in folder.iterdir()] == ["one.plan"]


def test_what_can_not_be_kept_leaves_nothing(folder: Path) -> None:
    (folder / "one.plan").mkdir(parents=True)
    with pytest.raises(OSError, match=r"one\.plan"):
        plans.keep("one.plan", b"data")
    assert [path.name for path in folder.iterdir()] == ["one.plan"]


def test_plans_are_forgotten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plans.keep("one.plan", bytes(3_000_000))
    (folder / "of onnxruntime").mkdir()
    for megabytes in (3, 0):
        assert main(["doctor", "--forget-plans"]) == 0
        assert capsys.readouterr().out == f"deleted {megabytes} MB in {folder}\n"
        assert not folder.exists()


# The calls


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
    monkeypatch: pytest.MonkeyPatch, lean_surface: Surface, inverter_path: Path, folder: Path
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


def test_cuda_paints_until_there_is_a_plan(machine: Machine, folder: Path) -> None:
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
    assert {path.name for path in folder.iterdir()} == {*names, *timings}
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
