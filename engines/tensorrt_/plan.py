"""Building plans and running them: all that is asked of TensorRT's and CUDA's packages.

No machine of ours has a GPU. The tests hold each of these calls against the packages' own
signatures, but that a plan is built, loaded and run awaits its first time on hardware.
"""

import ctypes
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from cuda.bindings import runtime as cuda
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.tensorrt_.plan_cache import Recipe

WORKSPACE = 2 << 30
"""Bytes of the GPU's memory for a layer while building, as painting goes on beside it."""

Shapes = dict[str, tuple[int, ...]]


def gpu_name(number: int) -> str:
    """Name and compute capability of that GPU. Raises EngineError where CUDA does not work; it has
    to be asked before anything of TensorRT is made, which would end the process there.
    """
    properties = _checked(cuda.cudaGetDeviceProperties(number))
    return f"{properties.name.decode()} {properties.major}.{properties.minor}"


def use_gpu(number: int) -> None:
    """What this thread makes from here on is on that GPU."""
    _checked(cuda.cudaSetDevice(number))


def build(
    trt: Any, graph: bytes, recipe: Recipe, timings: bytes, wanted: Callable[[], bool]
) -> tuple[bytes | None, bytes]:
    """A plan of the ONNX model `graph` for this thread's GPU, None if it is no longer `wanted`, and
    the timings that it was chosen by, of which `timings` had the first; it takes minutes. The
    recipe says the rest.
    """
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        problems = [parser.get_error(number).desc() for number in range(parser.num_errors)]
        raise EngineError(f"TensorRT can't read the model: {'; '.join(problems)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    config.progress_monitor = _monitor(trt, wanted)
    cache = config.create_timing_cache(timings)
    config.set_timing_cache(cache, ignore_mismatch=False)
    if recipe.is_lean:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        config.set_flag(trt.BuilderFlag.EXCLUDE_LEAN_RUNTIME)
    profile = builder.create_optimization_profile()
    for name, (least, best, most) in recipe.bounds.items():
        profile.set_shape(name, least, best, most)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None and wanted():
        raise EngineError("TensorRT can't build a plan, and says above why")
    return None if plan is None else bytes(plan), bytes(cache.serialize())


def _monitor(trt: Any, wanted: Callable[[], bool]) -> Any:
    """Lets building end early."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            pass

        def step_complete(self, phase_name: str, step: int) -> bool:
            return wanted()

        def phase_finish(self, phase_name: str) -> None:
            pass

    return Monitor()


class Plan:
    """A plan on a GPU, run by one thread at a time.

    The second frame of a size is captured as a CUDA graph, by which the GPU starts the next ones,
    copies included, in one go: small nets take longer to be asked for layer by layer.
    """

    def __init__(self, trt: Any, data: bytes, number: int) -> None:
        self._trt = trt
        self._number = number
        use_gpu(number)
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = runtime.deserialize_cuda_engine(data)
        if self._engine is None:
            raise EngineError(
                "TensorRT does not take a plan of its own; run: streamstyle doctor --forget-plans"
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError("the GPU has too little memory for the plan")
        names = [self._engine.get_tensor_name(n) for n in range(self._engine.num_io_tensors)]
        is_output = {n: self._engine.get_tensor_mode(n) == trt.TensorIOMode.OUTPUT for n in names}
        self._output_names = [name for name in names if is_output[name]]
        self._memory: dict[str, _Memory] = {}
        self._stream = _checked(cuda.cudaStreamCreate())
        self._shapes: Shapes = {}
        self._inputs: dict[str, _Tensor] = {}
        self._outputs: dict[str, _Tensor] = {}
        self._graph: Any = None
        self._captures = True

    def run(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """From arrays by name to the outputs by name, each the caller's."""
        use_gpu(self._number)
        shapes = {name: array.shape for name, array in arrays.items()}
        is_first = shapes != self._shapes
        if is_first:
            self._bind(shapes)
        for name, array in arrays.items():
            np.copyto(self._inputs[name].host, array)
        if not is_first and self._graph is None and self._captures:
            self._graph = self._captured()
            self._captures = self._graph is not None
        if self._graph is not None:
            _checked(cuda.cudaGraphLaunch(self._graph, self._stream))
        else:
            self._enqueue()
        _checked(cuda.cudaStreamSynchronize(self._stream))
        return {name: tensor.host.copy() for name, tensor in self._outputs.items()}

    def close(self) -> None:
        use_gpu(self._number)
        self._forget_graph()
        del self._context, self._engine
        for memory in self._memory.values():
            memory.free()
        _checked(cuda.cudaStreamDestroy(self._stream))

    def _bind(self, shapes: Shapes) -> None:
        self._forget_graph()
        self._shapes = {}  # until all is bound
        self._inputs = {name: self._tensor(name, shape) for name, shape in shapes.items()}
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise EngineError(f"the plan takes no {name} of shape {shape}")
        self._outputs = {
            name: self._tensor(name, tuple(self._context.get_tensor_shape(name)))
            for name in self._output_names
        }
        self._shapes = shapes

    def _enqueue(self) -> None:
        """Ask for the copies and layers of a frame."""
        kinds = cuda.cudaMemcpyKind
        for host, device in self._inputs.values():
            self._copy(device, host.ctypes.data, host.nbytes, kinds.cudaMemcpyHostToDevice)
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineError("TensorRT can't run its plan, and says above why")
        for host, device in self._outputs.values():
            self._copy(host.ctypes.data, device, host.nbytes, kinds.cudaMemcpyDeviceToHost)

    def _captured(self) -> Any:
        """What `_enqueue` asks for, to be launched; None where it can't be captured."""
        # Other threads, such as one that builds, may do meanwhile what a capture forbids.
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _checked(cuda.cudaStreamBeginCapture(self._stream, mode))
        try:
            self._enqueue()
        except EngineError:
            cuda.cudaStreamEndCapture(self._stream)
            cuda.cudaGetLastError()  # or a later call would be blamed for it
            return None
        graph = _checked(cuda.cudaStreamEndCapture(self._stream))
        try:
            return _checked(cuda.cudaGraphInstantiate(graph, 0))
        finally:
            _checked(cuda.cudaGraphDestroy(graph))

    def _forget_graph(self) -> None:
        if self._graph is not None:
            _checked(cuda.cudaGraphExecDestroy(self._graph))
            self._graph = None

    def _tensor(self, name: str, shape: tuple[int, ...]) -> "_Tensor":
        """There for the plan to find."""
        dtype = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name)))
        size = math.prod(shape) * dtype.itemsize
        memory = self._memory.get(name)
        if memory is None or memory.host.nbytes < size:
            if memory is not None:
                memory.free()
            memory = self._memory[name] = _Memory(size)
        self._context.set_tensor_address(name, memory.device)
        return _Tensor(memory.host[:size].view(dtype).reshape(shape), memory.device)

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        _checked(cuda.cudaMemcpyAsync(target, source, size, kind, self._stream))


class _Tensor(NamedTuple):
    host: NDArray[Any]
    device: int
    """Its address there."""


class _Memory:
    """As many bytes on the GPU as on the host, pinned there so that they are copied alongside."""

    def __init__(self, size: int) -> None:
        self.device: int = _checked(cuda.cudaMalloc(size))
        pinned: int = _checked(cuda.cudaMallocHost(size))
        self.host = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(pinned))

    def free(self) -> None:
        _checked(cuda.cudaFree(self.device))
        _checked(cuda.cudaFreeHost(self.host.ctypes.data))


def _checked(outcome: tuple[Any, ...]) -> Any:
    """What a call of CUDA gave."""
    error, *values = outcome
    if error != cuda.cudaError_t.cudaSuccess:
        _, text = cuda.cudaGetErrorString(error)
        raise EngineError(f"CUDA does not work: {text.decode()}")
    return values[0] if values else None
