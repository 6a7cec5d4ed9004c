"""The backends, and functions that open a model on one of them."""

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
    """Where to import a backend's engine class from, once the backend is used."""

    module: str
    engine: str
    problem: Callable[[], Problem | None]
    """Returns why the backend can't be imported here, or None if it can."""

    def open(self, card: ModelCard, part: str | None, device: str, precision: str) -> Engine:
        if (problem := self.problem()) is not None:
            raise EngineError(str(problem))
        engine: Engine = getattr(import_module(self.module), self.engine)(
            card, part, device, precision
        )
        return engine


BACKENDS = {
    "openvino": Backend(f"{__package__}.openvino_.engine", "OpenVinoEngine", openvino_problem),
    "onnxruntime": Backend(
        f"{__package__}.onnxruntime_.engine", "OnnxRuntimeEngine", onnxruntime_problem
    ),
    "tensorrt": Backend(f"{__package__}.tensorrt_.engine", "TensorRtEngine", tensorrt_problem),
}


def open_engine(
    model: Path, backend: str = "auto", device: str = "auto", precision: str = "auto"
) -> Engine:
    """Open the ONNX file `model` on one of `BACKENDS` and one or more of its devices.

    Several devices, such as cuda:0,cuda:1, share the frames. `auto` takes the fastest combination
    that works here: an accelerator through onnxruntime, else OpenVINO, else onnxruntime on the CPU.
    A backend, device or precision that is asked for by name is never replaced by another. Raises
    EngineError if it can't be used; the message says why and what to do.
    """
    card = read_card(model)
    if "," in device:
        return _open_on_devices(card, backend, device.split(","), precision)
    opener = partial(open_part, model, backend=backend, device=device, precision=precision)
    return WctEngine(card, opener) if card.family == WCT else opener(None)


def _open_on_devices(
    card: ModelCard, backend: str, devices: Sequence[str], precision: str
) -> Engine:
    if card.family == WCT:
        raise EngineError(
            f"{card.path.name} paints each frame with what it saw in the frames before, which "
            "several devices can't share; give one --device"
        )
    with ExitStack() as stack:
        engines = [
            stack.enter_context(open_engine(card.path, backend, device, precision))
            for device in devices
        ]
        engine = MultiDeviceEngine(engines)
        stack.pop_all()
    return engine


def open_part(
    model: Path,
    part: str | None,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Engine:
    """Open one part of a model, as `open_engine` does; `part` is None for a model without parts.

    Raises EngineError if the backend, device or precision can't be used for the model.
    """
    if precision not in (*PRECISIONS, "auto"):
        raise EngineError(f"there is no precision {precision}; choose from {', '.join(PRECISIONS)}")
    if backend not in (*BACKENDS, "auto"):
        raise EngineError(f"there is no engine {backend}; choose from {', '.join(BACKENDS)}")
    card = read_card(model)
    if precision in card.refused:
        raise EngineError(
            f"{card.path.name} paints another picture in {precision} than in float32, with a PSNR "
            f"of {card.verification[precision + '_worst_psnr_db']} dB; give another precision"
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
    """Yield (backend, device) pairs to try, fastest first, for the device asked for."""
    if device != "auto":
        yield from ((name, device) for name in ("openvino", "onnxruntime"))
        return
    if onnxruntime_problem() is None:
        from engines.onnxruntime_.engine import TENSORRT, devices

        yield from (("onnxruntime", name) for name in devices() if name not in ("cpu", TENSORRT))
    yield "openvino", "cpu"
    yield "onnxruntime", "cpu"
