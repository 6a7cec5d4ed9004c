"""What machine this is, for reports of what was measured on it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CPU_FEATURES = {
    "amx_bf16": "AMX bfloat16",
    "avx512_bf16": "AVX-512 bfloat16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "asimd": "NEON",
}
"""What decides how fast an engine is, by /proc/cpuinfo's names, the best first."""


def cpu() -> str:
    """Such as "AMD EPYC, 2 cores, AVX-512 bfloat16"."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = [line.partition(":") for line in info.read_text().splitlines()]
        values = {key.strip(): value.strip() for key, _, value in reversed(fields)}
        name = values.get("model name", name)
        flags = set(values.get("flags", values.get("Features", "")).split())
    best = next((text for flag, text in _CPU_FEATURES.items() if flag in flags), None)
    return ", ".join([name, f"{cores()} cores", *([best] if best else [])])


def cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def packages() -> str:
    """Versions of what the work is done with; what is not installed is left out."""
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
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join([f"Python {platform.python_version()}", *found])
