"""Describe the machine for reports, and leave its memory and processor to others."""

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CPU_FEATURES = {
    "amx_fp16": "AMX float16",
    "amx_bf16": "AMX bfloat16",
    "amx_int8": "AMX int8",
    "avx512_fp16": "AVX-512 float16",
    "avx512_bf16": "AVX-512 bfloat16",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX VNNI",
    "avx2": "AVX2",
    "asimd": "NEON",
}
"""CPU features that decide how fast an engine is, by their names in /proc/cpuinfo."""


def hardware() -> str:
    """Return a description of CPU, memory and NVIDIA GPUs.

    Example: "AMD EPYC, 2 cores, AVX2, 25 GB; NVIDIA H100 80GB HBM3, 81559 MiB, driver 580.65".
    """
    return "; ".join([", ".join([cpu(), *_memory()]), *_gpus()])


def cpu() -> str:
    """Return a description of the CPU.

    Example: "AMD EPYC, 2 cores, AVX-512 bfloat16, AVX-512, AVX2".
    """
    name, flags = platform.processor() or platform.machine(), set[str]()
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = [line.partition(":") for line in info.read_text().splitlines()]
        values = {key.strip(): value.strip() for key, _, value in reversed(fields)}
        name = values.get("model name", name)
        flags = set(values.get("flags", values.get("Features", "")).split())
    features = [text for flag, text in _CPU_FEATURES.items() if flag in flags]
    return ", ".join([name, f"{cores()} cores", *features])


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Undo the real-time scheduling that a library sets inside, as SVT-AV1 does for root.

    No other program would get a turn while frames are encoded, not even the window.
    """
    try:
        yield
    finally:
        threads = Path("/proc/self/task")
        if threads.exists():  # Linux
            for thread in threads.iterdir():
                with suppress(OSError):  # it has ended
                    os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def packages(*others: str) -> str:
    """Return the versions of Python, of the packages used for painting, and of `others`.

    Packages that are not installed are left out.
    """
    names = (
        "openvino",
        "onnxruntime",
        "onnxruntime-gpu",
        "tensorrt-cu13",
        "tensorrt-lean-cu13",
        "av",
        "opencv-python",
    )
    found = []
    for name in (*names, *others):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join([f"Python {platform.python_version()}", *found])


def _memory() -> list[str]:
    if not hasattr(os, "sysconf"):  # Windows
        return []
    return [f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"]


def _gpus() -> list[str]:
    """Return the NVIDIA GPUs that nvidia-smi lists; none if it is missing or fails."""
    query = "nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader"
    try:
        told = subprocess.run(query.split(), capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return []
    lines = [line.rsplit(", ", 2) for line in told.stdout.splitlines()]
    return [f"{name}, {memory}, driver {driver}" for name, memory, driver in lines]


def give_back_memory() -> None:
    """Give freed memory between blocks in use back to the system.

    glibc keeps this memory, and it keeps more with each thread that came and went, such as an
    encoder's. Other C libraries have no call for it.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
