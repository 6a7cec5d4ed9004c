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
"""What is painted live goes up and down a ladder of six sizes."""


class Buffers:
    """Runs a session by buffers of its own on `device`, in onnxruntime's words, and the `number` of
    it: a frame is uploaded into the same memory as the one before, and nothing is allocated while
    its size stays.

    One thread runs at a time; another may prepare meanwhile.
    """

    def __init__(self, session: ort.InferenceSession, device: str, number: int) -> None:
        self._session = session
        self._device = device, number
        self._names = [argument.name for argument in session.get_outputs()]
        self._bound: OrderedDict[Shapes, _Bound] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, inputs: Arrays) -> None:
        """Do ahead what the first run with inputs of these shapes would have to wait for."""
        if self._known(inputs) is None:
            self._run_first(inputs)

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """All that the graph gives, by name, in arrays that are the caller's."""
        bound = self._known(inputs)
        return self._run_first(inputs) if bound is None else bound.run(inputs)

    def _known(self, inputs: Arrays) -> "_Bound | None":
        with self._lock:
            bound = self._bound.get(_shapes(inputs))
            if bound is not None:
                self._bound.move_to_end(_shapes(inputs))
            return bound

    def _run_first(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Without buffers: only what comes out tells the shapes that those of the outputs have."""
        outputs = dict(zip(self._names, self._session.run(self._names, inputs), strict=True))
        bound = _Bound(self._session, self._device, inputs, outputs)
        with self._lock:
            self._bound[_shapes(inputs)] = bound
            if len(self._bound) > KEPT_SHAPES:
                self._bound.popitem(last=False)
        return outputs


class _Bound:
    """The buffers of one set of shapes."""

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
    # On the CPU it is a view of the buffer, which the next frame would overwrite.
    return array if array.flags.owndata else np.array(array)


def _shapes(inputs: Arrays) -> Shapes:
    return tuple(sorted((name, array.shape, array.dtype.str) for name, array in inputs.items()))
