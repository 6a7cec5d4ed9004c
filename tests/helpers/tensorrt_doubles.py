"""Test doubles for TensorRT and CUDA, which none of our machines can run.

They accept only the names and arguments that the real packages document.
"""

import ctypes
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cuda.bindings import runtime
from numpy.typing import NDArray

from engines.tensorrt_.plan_cache import Recipe

Surface = dict[str, dict[str, list[tuple[str, str]] | None]]
"""The API of a package, by class and member.

A method has the parameters and result of each overload; any other member has None.
"""

_READ = """
import importlib, json, re, sys
package = importlib.import_module(sys.argv[1])
surface = {}
for name, kind in vars(package).items():
    if isinstance(kind, type):
        surface[name] = members = {}
        for member in [m for m in dir(kind) if m == "__init__" or not m.startswith("_")]:
            text = getattr(kind, member).__doc__ or ""
            overload = rf"^(?:\\d+\\. )?{member}\\(self: [^,)]+(?:, (.*))?\\) -> (.*)$"
            members[member] = re.findall(overload, text, re.M) or None
surface[""] = {name: None for name in vars(package)}
print(json.dumps(surface))
"""

_STUB = """
void *createInferBuilder_INTERNAL() { return 0; }
void *createInferRefitter_INTERNAL() { return 0; }
void *createInferRuntime_INTERNAL() { return 0; }
void *createNvOnnxParserRefitter_INTERNAL() { return 0; }
void *createNvOnnxParser_INTERNAL() { return 0; }
void *getBuilderPluginRegistry() { return 0; }
int getNvOnnxParserVersion() { return 0; }
void *getPluginRegistry() { return 0; }
int initLibNvInferPlugins() { return 1; }
"""
"""The symbols that TensorRT's Python package needs from its libraries.

The libraries are not available here; these stubs are enough to import and inspect the package.
"""


def surface_of(package: str, libraries: Path | None = None) -> Surface:
    """Read the API of a package in its own process: one process can't import two of them."""
    environment = dict(os.environ)
    if libraries is not None:
        environment["LD_LIBRARY_PATH"] = str(libraries)
    command = [sys.executable, "-c", _READ, package]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    surface: Surface = json.loads(run.stdout)
    return surface


def write_stubs(folder: Path) -> None:
    (folder / "stub.c").write_text(_STUB)
    for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        library = f"lib{name}.so.10"
        subprocess.run(
            ["cc", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", library, "stub.c"],
            check=True,
            cwd=folder,
        )


class Gpu:
    """GPU memory, and a plan that paints the negative.

    Work that is requested while a stream is captured runs when its graph is launched.
    """

    def __init__(self, *style: str) -> None:
        self.blocks: dict[int, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.loaded: list[bytes] = []
        self.devices: list[int] = []
        """The device numbers that were requested, in order."""
        self.captured: list[Callable[[], object]] | None = None
        self.graphs: dict[int, list[Callable[[], object]]] = {}
        self.launches = 0
        self.can_capture = True
        names = ["frame", *style, "stylized"]
        self.answers: Mapping[str, Any] = {
            "Runtime.deserialize_cuda_engine": self._load,
            "ICudaEngine.num_io_tensors": len(names),
            "ICudaEngine.get_tensor_name": names.__getitem__,
            "ICudaEngine.get_tensor_mode": lambda n: "OUTPUT" if n == "stylized" else "INPUT",
            "ICudaEngine.get_tensor_dtype": lambda n: np.float32 if n in style else np.uint8,
            "IExecutionContext.set_input_shape": self._set_shape,
            "IExecutionContext.set_tensor_address": self._set_address,
            "IExecutionContext.get_tensor_shape": lambda _name: self.shapes["frame"],
            "IExecutionContext.execute_async_v3": self._paint,
            "nptype": lambda dtype: dtype,
        }

    def _load(self, data: bytes) -> Any:
        self.loaded.append(data)
        return None if data == b"broken" else ...

    def _set_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return True

    def _set_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def do(self, work: Callable[[], object]) -> None:
        if self.captured is None:
            work()
        else:
            self.captured.append(work)

    def _paint(self, _stream: int) -> bool:
        if self.captured is not None and not self.can_capture:
            return False
        stylized, frame = self._at("stylized"), self._at("frame")
        self.do(lambda: np.copyto(stylized, 255 - frame))
        return True

    def _at(self, name: str) -> NDArray[np.uint8]:
        block = np.frombuffer(self.blocks[self.addresses[name]], np.uint8)
        shape = self.shapes["frame"]
        return block[: np.prod(shape)].reshape(shape)


class Cuda:
    """A double for cuda.bindings.runtime."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def __getattr__(self, name: str) -> Any:
        real = getattr(runtime, name)
        double = getattr(type(self), f"_{name}", None)
        if double is None:
            assert not callable(real) or isinstance(real, type) or name == "cudaGetErrorString"
            return real

        def call(*arguments: Any) -> tuple[Any, ...]:
            inspect.signature(real).bind(*arguments)
            return (runtime.cudaError_t.cudaSuccess, *double(self, *arguments))

        return call

    def _cudaGetDeviceProperties(self, device: int) -> tuple[Any]:  # noqa: N802
        self._gpu.devices.append(device)
        properties = runtime.cudaDeviceProp()
        properties.name = b"Some GPU".ljust(256, b"\0")
        properties.major, properties.minor = 9, 0
        return (properties,)

    def _cudaStreamCreate(self) -> tuple[Any]:  # noqa: N802
        return (runtime.cudaStream_t(7),)

    def _cudaSetDevice(self, device: int) -> tuple[()]:  # noqa: N802
        self._gpu.devices.append(device)
        return ()

    def _cudaMalloc(self, size: int) -> tuple[int]:  # noqa: N802
        assert self._gpu.captured is None
        block = (ctypes.c_uint8 * size)()
        self._gpu.blocks[ctypes.addressof(block)] = block
        return (ctypes.addressof(block),)

    def _cudaFree(self, address: int) -> tuple[()]:  # noqa: N802
        del self._gpu.blocks[address]
        return ()

    _cudaMallocHost, _cudaFreeHost = _cudaMalloc, _cudaFree  # noqa: N815

    def _cudaMemcpyAsync(  # noqa: N802
        self, target: int, source: int, size: int, _kind: Any, stream: Any
    ) -> tuple[()]:
        assert size <= min(len(self._gpu.blocks[target]), len(self._gpu.blocks[source]))
        assert int(stream) == 7
        self._gpu.do(lambda: ctypes.memmove(target, source, size))
        return ()

    def _cudaStreamSynchronize(self, stream: Any) -> tuple[()]:  # noqa: N802
        assert int(stream) == 7
        assert self._gpu.captured is None
        return ()

    def _cudaStreamBeginCapture(self, stream: Any, _mode: Any) -> tuple[()]:  # noqa: N802
        assert int(stream) == 7
        self._gpu.captured = []
        return ()

    def _cudaStreamEndCapture(self, stream: Any) -> tuple[Any]:  # noqa: N802
        assert int(stream) == 7
        assert self._gpu.captured is not None
        graph = runtime.cudaGraph_t(len(self._gpu.graphs) + 1)
        self._gpu.graphs[int(graph)] = self._gpu.captured
        self._gpu.captured = None
        return (graph,)

    def _cudaGetLastError(self) -> tuple[()]:  # noqa: N802
        self._gpu.graphs.clear()  # a failed capture leaves no graph
        return ()

    def _cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[Any]:  # noqa: N802
        assert flags == 0
        executable = runtime.cudaGraphExec_t(int(graph) + 100)
        self._gpu.graphs[int(executable)] = self._gpu.graphs[int(graph)]
        return (executable,)

    def _cudaGraphLaunch(self, graph: Any, stream: Any) -> tuple[()]:  # noqa: N802
        assert int(stream) == 7
        self._gpu.launches += 1
        for work in self._gpu.graphs[int(graph)]:
            work()
        return ()

    def _cudaGraphDestroy(self, graph: Any) -> tuple[()]:  # noqa: N802
        del self._gpu.graphs[int(graph)]
        return ()

    _cudaGraphExecDestroy = _cudaGraphDestroy  # noqa: N815

    _cudaStreamDestroy = _cudaStreamSynchronize  # noqa: N815


class Package:
    """A double for the package with the given API.

    `answers` has the result of each call, by class and member. Without an answer, or if the answer
    returns ..., the result is what the signature says.
    """

    __version__ = "10.16.1.11"

    def __init__(self, surface: Surface, answers: Mapping[str, Any]) -> None:
        self._surface, self._answers = surface, answers
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        assert name in self._surface[""], f"there is no {name}"
        if name in self._answers:
            return self._answers[name]
        if name == "IProgressMonitor":
            return Monitored
        return _Kind(self, name)

    def call(self, kind: str, member: str, *arguments: Any, **named: Any) -> Any:
        self.called.append(f"{kind}.{member}")
        overloads = self._surface[kind][member]
        assert overloads is not None, f"{kind}.{member} is no method"
        results = [result for text, result in overloads if _accepts(text, arguments, named)]
        assert results, f"{kind}.{member} takes {overloads}, not {arguments} {named}"
        answer = self._answers.get(f"{kind}.{member}", ...)
        if answer is not ... and (given := answer(*arguments, **named)) is not ...:
            return given
        result = results[0].rpartition(".")[2]
        return _Object(self, result) if result in self._surface else result == "bool"


class Monitored:
    """A double for the package's IProgressMonitor, whose methods TensorRT calls."""


class Constant(str):
    """A constant of the package, such as a member of an enumeration."""

    def __int__(self) -> int:
        return 1


class _Kind:
    def __init__(self, package: Package, name: str) -> None:
        self._package, self._name = package, name

    def __call__(self, *arguments: Any) -> "_Object":
        self._package.call(self._name, "__init__", *arguments)
        return _Object(self._package, self._name)

    def __getattr__(self, member: str) -> Constant:
        assert member in self._package._surface[self._name], f"{self._name} has no {member}"
        return Constant(member)


class _Object:
    def __init__(self, package: Package, kind: str) -> None:
        self.__dict__.update(package=package, kind=kind)

    def __getattr__(self, member: str) -> Any:
        members = self.package._surface[self.kind]
        assert member in members, f"{self.kind} has no {member}"
        if members[member] is None:
            return self.package._answers[f"{self.kind}.{member}"]
        return lambda *given, **named: self.package.call(self.kind, member, *given, **named)

    def __setattr__(self, member: str, value: Any) -> None:
        assert self.package._surface[self.kind][member] is None, f"{self.kind}.{member}"
        self.package.called.append(f"{self.kind}.{member} =")
        self.package._answers.get(f"{self.kind}.{member} =", lambda _value: None)(value)

    def __bytes__(self) -> bytes:
        data: bytes = self.package._answers[self.kind]
        return data


def _accepts(text: str, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    """Return whether a call fits the signature `text`, as in "name: str, memory: int = 0"."""
    names, types, optional = [], {}, set()
    for parameter in filter(None, text.split(", ")):
        name, _, rest = parameter.partition(": ")
        types[name], has_default, _ = rest.partition(" = ")
        names.append(name)
        if has_default:
            optional.add(name)
    if len(arguments) > len(names):
        return False
    given = {**dict(zip(names, arguments, strict=False)), **named}
    return (
        set(names) - optional <= set(given) <= set(names)
        and len(given) == len(arguments) + len(named)
        and all(_is(value, types[name]) for name, value in given.items())
    )


def _is(value: Any, type_name: str) -> bool:
    short = type_name.rpartition(".")[2]
    plain = {
        "str": str,
        "bool": bool,
        "SupportsInt": int,
        "tuple": tuple,
        "Dims": tuple,
        "Buffer": bytes,
    }
    if short in plain:
        return isinstance(value, plain[short])
    if isinstance(value, _Object):  # of the class itself or of a subclass
        return value.kind == short or f"I{value.kind}" == short
    return isinstance(value, Constant)


RECIPE = Recipe("1234", {"frame": ((1,), (2,), (3,))}, False, "10.16.1.11", "Some GPU 9.0")
