"""Inputs and outputs that stay on onnxruntime's device from frame to frame."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

Shapes = tuple[tuple[str, tuple[int, ...], str], ...]
"""Name, shape and type of each input."""

KEPT_SHAPES = 8
"""Number of sets of shapes whose buffers are kept; a live session uses six sizes."""


class Buffers:
    """Runs a session with buffers on its device that are used again for the next frame.

    `device` and `number` name the device in onnxruntime's words. Each frame is uploaded into the
    same memory as the one before, and nothing is allocated while the size stays the same.

    Each thread that runs at the same time as others has buffers of its own, so that one frame is
    copied while another is computed.
    """

    def __init__(self, session: ort.InferenceSession, device: str, number: int) -> None:
        self._session = session
        self._device = device, number
        self._names = [argument.name for argument in session.get_outputs()]
        self._idle: OrderedDict[Shapes, list[_Bound]] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, inputs: Arrays) -> None:
        """Do in advance what the first run with inputs of these shapes would have to wait for."""
        with self._lock:
            known = _shapes(inputs) in self._idle
        if not known:
            self._run_first(inputs)

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Return all outputs of the graph by name; the arrays belong to the caller."""
        with self._lock:
            idle = self._idle.get(_shapes(inputs))
            if idle is not None:
                self._idle.move_to_end(_shapes(inputs))
            bound = idle.pop() if idle else None
        if bound is None:
            return self._run_first(inputs)
        outputs = bound.run(inputs)
        self._keep(inputs, bound)
        return outputs

    def _run_first(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run without buffers, because only the outputs tell the shapes of their buffers."""
        outputs = dict(zip(self._names, self._session.run(self._names, inputs), strict=True))
        self._keep(inputs, _Bound(self._session, self._device, inputs, outputs))
        return outputs

    def _keep(self, inputs: Arrays, bound: "_Bound") -> None:
        with self._lock:
            self._idle.setdefault(_shapes(inputs), []).append(bound)
            if len(self._idle) > KEPT_SHAPES:
                self._idle.popitem(last=False)


class _Bound:
    """Buffers of one set of shapes, for one thread at a time."""

    def __init__(
        self,
        session: ort.InferenceSession,
        device: tuple[str, int],
        inputs: Arrays,
        outputs: Arrays,
    ) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._inputs = {name: _like(array, *device) for name, array in inputs.items()}
        self._outputs = {name: _like(array, *device) for name, array in outputs.items()}
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        for name, array in inputs.items():
            self._inputs[name].update_inplace(array)
        self._session.run_with_iobinding(self._binding)
        return {name: _downloaded(value) for name, value in self._outputs.items()}


def _like(array: NDArray[Any], device: str, number: int) -> ort.OrtValue:
    shape: Sequence[int] = array.shape
    return ort.OrtValue.ortvalue_from_shape_and_type(shape, array.dtype.type, device, number)


def _downloaded(value: ort.OrtValue) -> NDArray[Any]:
    array: NDArray[Any] = value.numpy()
    # On the CPU this is a view of the buffer, which the next frame would overwrite.
    return array if array.flags.owndata else np.array(array)


def _shapes(inputs: Arrays) -> Shapes:
    return tuple(sorted((name, array.shape, array.dtype.str) for name, array in inputs.items()))
