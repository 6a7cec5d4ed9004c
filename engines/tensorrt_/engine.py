"""The TensorRT engine: it builds plans, which takes minutes, while CUDA paints."""

import hashlib
import logging
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from engines.availability import FULL_TENSORRT, IN_FOLDER, installed_tensorrt
from engines.base import MIN_SIDE, NO_STYLE, BaseEngine, Engine, Frames, Style, check_inputs
from engines.device_names import kind_and_number
from engines.errors import EngineError
from engines.model_card import ModelCard
from engines.subgraphs import graph_of
from engines.tensorrt_ import plan_cache
from engines.tensorrt_.graph import PRECISIONS, Shapes, for_tensorrt, inputs_of
from engines.tensorrt_.plan import Plan, build, gpu_name, use_gpu
from engines.tensorrt_.plan_cache import Bounds, Recipe

NAME = "tensorrt"

DEVICES = ("cuda", "lean")
"""`lean` is `cuda` with plans that TensorRT's lean runtime can run as well.

A `lean` plan can be copied to a machine with a lean runtime of the same version and a GPU of the
same name. A plan for any version would have to bring a runtime along, and whoever wrote the file
could then run any code here.
"""

SIDES = (640, 1280, 1920, 3840)
"""Longest sides, in pixels, of the frames that each plan is for.

They are few, so that all plans are soon built. The sizes of a live picture, down to three tenths of
its full size, need only two or three of them.
"""

REGIONS = (1, 1, 2)
"""Fewest, usual and most regions of a style that has regions."""

STYLE_SIDES = (1, 1024, 4096)
"""Least, usual and greatest length of a mask's sides, and number of a picture's patches."""

_log = logging.getLogger(__name__)
_building = threading.Lock()
"""Held during a build: TensorRT chooses by timing, which a second build would distort."""


class TensorRtEngine(BaseEngine):
    """A model on TensorRT, or on onnxruntime's CUDA until a plan is built; see `Engine`."""

    def __init__(self, card: ModelCard, part: str | None, device: str, precision: str) -> None:
        kind, self._number = kind_and_number("TensorRT", device, DEVICES)
        if kind not in (*DEVICES, "auto"):
            raise EngineError(f"TensorRT has no device {device}; it has {', '.join(DEVICES)}")
        self._precision = "fp32" if precision == "auto" else precision
        if self._precision not in PRECISIONS:
            raise EngineError(
                f"TensorRT computes in {' or '.join(PRECISIONS)} here, not in {precision}"
            )
        self._gpu = gpu_name(self._number)
        module = installed_tensorrt()
        assert module is not None  # else tensorrt_problem() would have refused
        if module != FULL_TENSORRT and kind == "cuda":
            raise EngineError(
                "only TensorRT's lean runtime is installed, which builds no plans; "
                f'{IN_FOLDER}: pip install ".[tensorrt]", or give --device lean'
            )
        self._trt = import_module(module)
        self.card = card
        self._graph = for_tensorrt(graph_of(card, part), self._precision)
        shapes = inputs_of(self._graph)
        self.style_inputs = {
            name: tuple(side if side > 0 else 1 for side in shape)
            for name, shape in shapes.items()
            if name != "frame"
        }
        self._bounds = {side: bounds_of(shapes, side) for side in SIDES}
        self._plans: dict[int, Plan] = {}
        self._meanwhile: Engine | None = None
        if module == FULL_TENSORRT:
            from engines.onnxruntime_.engine import OnnxRuntimeEngine

            cuda = f"cuda:{self._number}" if self._number else "cuda"
            self._meanwhile = OnnxRuntimeEngine(card, part, cuda, "fp32")
        self._paints_by: Engine | None = self._meanwhile
        self._device = device if device != "auto" else DEVICES[self._meanwhile is None]
        self._is_lean = self._device.startswith("lean")
        self._builder: threading.Thread | None = None
        self._lock = threading.Lock()
        self._failed = False
        self._closed = False

    @property
    def backend(self) -> str:
        return NAME if self._paints_by is None else self._paints_by.backend

    @property
    def device(self) -> str:
        return self._device if self._paints_by is None else self._paints_by.device

    @property
    def precision(self) -> str:
        return self._precision if self._paints_by is None else self._paints_by.precision

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        """Begin to build the plan for this size if there is none; do not wait for it."""
        shapes = {name: array.shape for name, array in style.items()} or self.style_inputs
        plan = self._plan_for({"frame": (batch, height, width, 3), **shapes})
        if plan is None and self._meanwhile is not None:
            self._meanwhile.prepare(height, width, batch, style)

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        check_inputs(frames, style, self.style_inputs)
        arrays: dict[str, NDArray[Any]] = {"frame": frames, **style}
        plan = self._plan_for({name: array.shape for name, array in arrays.items()})
        if plan is not None:
            return plan.run(arrays)
        assert self._meanwhile is not None
        return self._meanwhile.run(frames, style)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        if self._builder is not None:
            self._builder.join()
        for plan in self._plans.values():
            plan.close()
        self._plans.clear()
        if self._meanwhile is not None:
            self._meanwhile.close()

    def _plan_for(self, shapes: Mapping[str, tuple[int, ...]]) -> Plan | None:
        """Return the plan for these shapes, or None if the other engine paints them."""
        with self._lock:
            if self._closed:
                raise EngineError("this engine is closed")
            side = next((side for side in SIDES if fits(shapes, self._bounds[side])), None)
            if self._meanwhile is None:
                if side is None:
                    raise EngineError(
                        f"no plan takes {shapes}; TensorRT's lean runtime paints one frame of at "
                        f"most {SIDES[-1]} pixels a side"
                    )
                if side not in self._plans:
                    self._plans[side] = self._kept_plan(side)
            elif side is not None and side not in self._plans:
                self._begin_building(side)
            plan = None if side is None else self._plans.get(side)
            self._paints_by = self._meanwhile if plan is None else None
            return plan

    def _kept_plan(self, side: int) -> Plan:
        data = plan_cache.read(self._recipe(side).plan_name)
        if data is None:
            raise EngineError(
                f"{plan_cache.FOLDER} has no plan of {self.card.path.name} in {self._precision} "
                f"for frames up to {side} pixels; paint one with --device lean on a machine with "
                f"TensorRT {self._trt.__version__} and the same GPU ({self._gpu}), and copy that "
                "folder from it"
            )
        return Plan(self._trt, data, self._number)

    def _begin_building(self, side: int) -> None:
        """Start to build a plan, unless a build is running or has failed."""
        if self._failed or (self._builder is not None and self._builder.is_alive()):
            return
        self._builder = threading.Thread(
            target=self._build, args=(side,), name="streamstyle-plan", daemon=True
        )
        self._builder.start()

    def _build(self, side: int) -> None:
        try:
            while not _building.acquire(timeout=0.1):
                if self._closed:
                    return
            try:
                self._make_ready(side)
            finally:
                _building.release()
        except Exception as error:  # whatever went wrong, painting goes on
            self._failed = True
            if not self._closed:
                _log.warning("TensorRT builds no more plans of %s: %s", self.card.path.name, error)

    def _make_ready(self, side: int) -> None:
        use_gpu(self._number)
        recipe = self._recipe(side)
        data = plan_cache.read(recipe.plan_name)
        if data is not None:
            self._plans[side] = Plan(self._trt, data, self._number)
            return
        data, timings = build(
            self._trt,
            self._graph,
            recipe,
            plan_cache.read(recipe.timings_name) or b"",
            lambda: not self._closed,
        )
        plan_cache.keep(recipe.timings_name, timings)
        if data is not None:
            self._plans[side] = Plan(self._trt, data, self._number)
            plan_cache.keep(recipe.plan_name, data)

    def _recipe(self, side: int) -> Recipe:
        return Recipe(
            graph_sha256=hashlib.sha256(self._graph).hexdigest(),
            bounds=self._bounds[side],
            is_lean=self._is_lean,
            tensorrt=self._trt.__version__,
            gpu=self._gpu,
        )


def bounds_of(shapes: Shapes, side: int) -> Bounds:
    """Return the bounds of each input, of the given shapes, in a plan for frames up to `side`."""
    bounds: Bounds = {}
    for name, shape in shapes.items():
        limits = [
            (length,) * 3 if length > 0 else (STYLE_SIDES if axis else REGIONS)
            for axis, length in enumerate(shape)
        ]
        if name == "frame":
            limits[:3] = (1, 1, 1), (MIN_SIDE, side * 9 // 16, side), (MIN_SIDE, side, side)
        least, best, most = zip(*limits, strict=True)
        bounds[name] = (least, best, most)
    return bounds


def fits(shapes: Mapping[str, tuple[int, ...]], bounds: Bounds) -> bool:
    """Return whether all shapes are within the bounds of a plan."""
    return all(
        least <= length <= most
        for name, shape in shapes.items()
        for least, length, most in zip(bounds[name][0], shape, bounds[name][2], strict=True)
    )
