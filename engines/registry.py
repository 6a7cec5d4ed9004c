"""Which backends there are, and opening a model on one of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from engines.availability import Problem, onnxruntime_problem, openvino_problem, tensorrt_problem
from engines.base import Engine
from engines.errors import EngineError
from engines.model_card import ModelCard, read_card
from engines.multi_device import MultiDeviceEngine
from engines.wct.engine import WctEngine
from engines.wct.transform import WCT

PRECISIONS = ("fp32", "fp16", "bf16", "int8")


class Backend(NamedTuple):
    """Where a backend's class is, to be imported only when it is used."""

    module: str
    engine: str
    problem: Callable[[], Problem | None]
    """Why it can't be imported here, if so."""

    def open(self, card: ModelCard, part: str | None, device: str, precision: str) -> Engine:
        if (problem := self.problem()) is not None:
            raise EngineError(str(problem))
        engine: Engine = getattr(import_module(self.module), self.engine)(
            card, part, device, precision
        )
        return engine


BACKENDS = {
    "openvino": Backend("engines.openvino_.engine", "OpenVinoEngine", openvino_problem),
    "onnxruntime": Backend("engines.onnxruntime_.engine", "OnnxRuntimeEngine", onnxruntime_problem),
    "tensorrt": Backend("engines.tensorrt_.engine", "TensorRtEngine", tensorrt_problem),
}


def open_engine(
    model: Path, backend: str = "auto", device: str = "auto", precision: str = "auto"
) -> Engine:
    """Open the ONNX file `model` on a backend of `BACKENDS` and one of its devices, or on several,
    such as cuda:0,cuda:1, which then paint every second frame each.

    `auto` takes the fastest that really works here: an accelerator through onnxruntime, else
    OpenVINO, else onnxruntime on the CPU. What is asked for by name is what runs: EngineError
    says why it can't and what to do.
    """
    card = read_card(model)
    if "," in device:
        return _open_team(card, backend, device.split(","), precision)
    opener = partial(open_part, model, backend=backend, device=device, precision=precision)
    return WctEngine(card, opener) if card.family == WCT else opener(None)


def _open_team(card: ModelCard, backend: str, devices: Sequence[str], precision: str) -> Engine:
    if card.family == WCT:
        raise EngineError(
            f"{card.path.name} paints each frame by what it saw in the one before, which several "
            "devices can't; give one --device"
        )
    with ExitStack() as stack:
        engines = [
            stack.enter_context(open_engine(card.path, backend, device, precision))
            for device in devices
        ]
        team = MultiDeviceEngine(engines)
        stack.pop_all()
    return team


def open_part(
    model: Path,
    part: str | None,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Engine:
    """As `open_engine`, one part of a model that has several; None for one that has not."""
    if precision not in (*PRECISIONS, "auto"):
        raise EngineError(f"no precision {precision}; there is {', '.join(PRECISIONS)}")
    if backend not in (*BACKENDS, "auto"):
        raise EngineError(f"no engine {backend}; there is {', '.join(BACKENDS)}")
    card = read_card(model)
    if precision in card.refused:
        raise EngineError(
            f"{card.path.name} paints another picture in {precision} than in float32, by "
            f"{card.verification[precision + '_worst_psnr_db']} dB; give another precision"
        )
    if backend != "auto":
        return BACKENDS[backend].open(card, part, device, precision)
    reasons = []
    for name, wanted in _in_order_of_speed(device):
        try:
            return BACKENDS[name].open(card, part, wanted, precision)
        except EngineError as error:
            reasons.append(f"{name}: {error}")
    raise EngineError(f"no engine runs here with that device and precision ({'; '.join(reasons)})")


def _in_order_of_speed(device: str) -> Iterator[tuple[str, str]]:
    """Backends and devices to try, given the device asked for."""
    if device != "auto":
        yield from ((name, device) for name in ("openvino", "onnxruntime"))
        return
    if onnxruntime_problem() is None:
        from engines.onnxruntime_.engine import TENSORRT, devices

        yield from (("onnxruntime", name) for name in devices() if name not in ("cpu", TENSORRT))
    yield "openvino", "cpu"
    yield "onnxruntime", "cpu"
