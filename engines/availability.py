"""Find out why an accelerator can't be used here, and which command fixes it."""

import contextlib
import ctypes
import io
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec

CUDA_MAJOR = 13
"""CUDA version that the pinned onnxruntime-gpu is built for; CUDA's library names contain it."""

ONNXRUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
"""Distributions that all install the same package `onnxruntime` and overwrite each other."""


IN_FOLDER = "in streamstyle's source folder, run"
"""First words of a fix that installs an extra, which works only in the source folder."""

FULL_TENSORRT, LEAN_TENSORRT = "tensorrt", "tensorrt_lean"
"""Packages: the full one builds plans and runs them; the lean one runs plans built elsewhere."""


@dataclass(frozen=True)
class Problem:
    """A reason why a backend can't be used, and how to fix it."""

    what: str
    fix: str
    """Command to run or step to take."""

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}"


def installed_onnxruntimes() -> list[str]:
    """Return which of ONNXRUNTIMES are installed."""
    names = {(d.metadata["Name"] or "").lower().replace("_", "-") for d in distributions()}
    return [name for name in ONNXRUNTIMES if name in names]


def openvino_problem() -> Problem | None:
    """Return why OpenVINO can't be used here, or None if it can."""
    if find_spec("openvino") is None:
        return Problem("OpenVINO is not installed", "run: pip install openvino")
    return None


def onnxruntime_problem() -> Problem | None:
    """Return why onnxruntime itself can't be relied on here, or None if it can."""
    installed = installed_onnxruntimes()
    if not installed:
        return Problem(
            "onnxruntime is not installed",
            f'{IN_FOLDER}: pip install ".[gpu]" (or, for the CPU only: pip install onnxruntime)',
        )
    if len(installed) > 1:
        wanted = "onnxruntime-gpu" if "onnxruntime-gpu" in installed else installed[-1]
        return Problem(
            f"{' and '.join(installed)} are both installed and have overwritten each other",
            f"run: pip uninstall -y {' '.join(installed)} && "
            f"pip install {wanted}=={version(wanted)}",
        )
    if find_spec("onnxruntime") is None:
        return Problem(
            f"{installed[0]} is registered but its files are gone",
            f"run: pip install --force-reinstall {installed[0]}=={version(installed[0])}",
        )
    return None


def cuda_problem() -> Problem | None:
    """Return why onnxruntime can't use an NVIDIA GPU here, or None if it can."""
    if (problem := onnxruntime_problem()) is not None:
        return problem
    installed = installed_onnxruntimes()[0]
    if installed != "onnxruntime-gpu":
        return Problem(
            f"the installed {installed} does not support CUDA",
            f'{IN_FOLDER}: pip uninstall -y {installed} && pip install ".[gpu]"',
        )
    if (problem := driver_problem()) is not None:
        return problem
    preload_cuda()
    missing = [name for name in _cuda_libraries() if not _loads(name)]
    if missing:
        return Problem(
            f"CUDA {CUDA_MAJOR} libraries are missing: {', '.join(missing)}",
            f'run: pip install "onnxruntime-gpu[cuda,cudnn]=={version("onnxruntime-gpu")}"',
        )
    return None


def tensorrt_problem() -> Problem | None:
    """Return why the TensorRT backend can't run here, or None if it can."""
    if (problem := driver_problem()) is not None:
        return problem
    module = installed_tensorrt()
    if module is None:
        return Problem(
            "TensorRT is not installed",
            f'{IN_FOLDER}: pip install ".[tensorrt]" (or ".[tensorrt-lean]", for plans built '
            "elsewhere)",
        )
    if installed_version("cuda-bindings") is None:
        return Problem("NVIDIA's cuda-bindings are missing", "run: pip install cuda-bindings")
    return cuda_problem() if module == FULL_TENSORRT else None


def installed_tensorrt() -> str | None:
    """Return the package that can be imported: the full TensorRT, its lean runtime, or None."""
    for package in (FULL_TENSORRT, LEAN_TENSORRT):
        with contextlib.suppress(ImportError, OSError, RuntimeError):
            import_module(package)
            return package
    return None


def onnxruntime_tensorrt_problem() -> Problem | None:
    """Return why onnxruntime can't use TensorRT here, or None if it can."""
    if (problem := cuda_problem()) is not None:
        return problem
    library = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"
    preload_tensorrt()
    if _loads(library):
        return None
    return Problem(
        f"TensorRT 10 ({library}) is missing or is another major version",
        f'{IN_FOLDER}: pip install ".[tensorrt]"',
    )


def preload_cuda() -> None:
    """Load the CUDA libraries that pip installed, which are on no search path."""
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()):  # it prints which libraries it does not find
        onnxruntime.preload_dlls(directory="")


def preload_tensorrt() -> None:
    """Load the TensorRT libraries that pip installed by importing them; no search path has them."""
    for package in ("tensorrt", "tensorrt_libs"):
        try:
            __import__(package)
        except (ImportError, OSError, RuntimeError):
            continue


def driver_problem() -> Problem | None:
    """Return why NVIDIA's driver can't run CUDA here, or None if it can."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return Problem(
            f"no NVIDIA driver is installed ({name} is not there)",
            "install NVIDIA's driver, or use --engine openvino on this machine",
        )
    count, number = ctypes.c_int(), ctypes.c_int()
    if (
        driver.cuInit(0) != 0
        or driver.cuDeviceGetCount(ctypes.byref(count)) != 0
        or not count.value
    ):
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        return Problem(
            "NVIDIA's driver is installed but shows no GPU",
            f"unset CUDA_VISIBLE_DEVICES, which is {hidden!r}"
            if hidden is not None
            else "check that nvidia-smi lists the GPU, and restart after a driver update",
        )
    driver.cuDriverGetVersion(ctypes.byref(number))
    if number.value < CUDA_MAJOR * 1000:
        return Problem(
            f"NVIDIA's driver supports CUDA up to {number.value // 1000}, but GPU engines need "
            f"{CUDA_MAJOR}",
            "update NVIDIA's driver to 580 or newer",
        )
    return None


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution, or None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _cuda_libraries() -> list[str]:
    if sys.platform == "win32":
        return [f"cublasLt64_{CUDA_MAJOR}.dll", f"cudart64_{CUDA_MAJOR}.dll", "cudnn64_9.dll"]
    return [f"libcublasLt.so.{CUDA_MAJOR}", f"libcudart.so.{CUDA_MAJOR}", "libcudnn.so.9"]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
