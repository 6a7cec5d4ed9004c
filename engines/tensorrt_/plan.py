"""Build plans and run them: all calls to the TensorRT and CUDA packages.

No plan has been built, loaded and run on a GPU yet. The tests check each of these calls against the
packages' own signatures.
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
"""Bytes of GPU memory for a layer during a build, since painting goes on meanwhile."""

Shapes = dict[str, tuple[int, ...]]


def gpu_name(number: int) -> str:
    """Return the name and compute capability of GPU `number`.

    Raises EngineError if CUDA does not work. Call this before creating any TensorRT object, which
    would then end the process.
    """
    properties = _checked(cuda.cudaGetDeviceProperties(number))
    return f"{properties.name.decode()} {properties.major}.{properties.minor}"


def use_gpu(number: int) -> None:
    """Make this thread use GPU `number` from now on."""
    _checked(cuda.cudaSetDevice(number))


def build(
    trt: Any, graph: bytes, recipe: Recipe, timings: bytes, wanted: Callable[[], bool]
) -> tuple[bytes | None, bytes]:
    """Build a plan of the ONNX model `graph` for this thread's GPU, which takes minutes.

    `recipe` says what kind of plan. Returns the plan, or None if it is no longer `wanted`, and the
    timings that it was chosen by: those in `timings` and new ones. Raises EngineError if TensorRT
    can't read the model or build the plan.
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
        raise EngineError("TensorRT can't build a plan; its messages above say why")
    return None if plan is None else bytes(plan), bytes(cache.serialize())


def _monitor(trt: Any, wanted: Callable[[], bool]) -> Any:
    """Return a progress monitor that ends the build once the plan is no longer `wanted`."""

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

    The second frame of a size is captured as a CUDA graph. With it, the GPU starts each later
    frame, copies included, in one go; small networks take longer if launched layer by layer.
    """

    def __init__(self, trt: Any, data: bytes, number: int) -> None:
        self._trt = trt
        self._number = number
        use_gpu(number)
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = runtime.deserialize_cuda_engine(data)
        if self._engine is None:
            raise EngineError(
                "TensorRT can't load a plan that it built; run: streamstyle doctor --forget-plans"
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
        """Run the plan on arrays by name; the outputs, also by name, belong to the caller."""
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
        self._shapes = {}  # stays empty until all is bound
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
        """Enqueue the copies and layers of a frame."""
        kinds = cuda.cudaMemcpyKind
        for host, device in self._inputs.values():
            self._copy(device, host.ctypes.data, host.nbytes, kinds.cudaMemcpyHostToDevice)
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineError("TensorRT can't run its plan; its messages above say why")
        for host, device in self._outputs.values():
            self._copy(host.ctypes.data, device, host.nbytes, kinds.cudaMemcpyDeviceToHost)

    def _captured(self) -> Any:
        """Return the work of `_enqueue` as a CUDA graph to launch; None if it can't be captured."""
        # Meanwhile, other threads, such as one that builds a plan, may do what a capture forbids.
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
        """Return a tensor's memory, after telling the plan its address."""
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
    """Address of the tensor on the GPU."""


class _Memory:
    """Equal buffers on the GPU and the host; pinned on the host, so that copies run alongside."""

    def __init__(self, size: int) -> None:
        self.device: int = _checked(cuda.cudaMalloc(size))
        pinned: int = _checked(cuda.cudaMallocHost(size))
        self.host = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(pinned))

    def free(self) -> None:
        _checked(cuda.cudaFree(self.device))
        _checked(cuda.cudaFreeHost(self.host.ctypes.data))


def _checked(outcome: tuple[Any, ...]) -> Any:
    """Return the result of a CUDA call; raise EngineError if the call failed."""
    error, *values = outcome
    if error != cuda.cudaError_t.cudaSuccess:
        _, text = cuda.cudaGetErrorString(error)
        raise EngineError(f"CUDA does not work: {text.decode()}")
    return values[0] if values else None
