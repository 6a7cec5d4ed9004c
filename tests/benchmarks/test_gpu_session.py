"""The script `gpu_session.sh`, run with short and small steps, with or without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from engines.availability import cuda_problem

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_session.sh"

ANYWHERE = {"doctor", "fps", "peers", "profile", "clip"}

ON_CUDA = {"tests", "cuda-fp32", "cuda-fp16"}

MORE = {
    "onnxruntime-tensorrt-fp16",
    "tensorrt-fp16",
    "cuda-two-fp16",
    "tensorrt-two-fp16",
}
"""Steps that may fail even with CUDA, because they need TensorRT or a second GPU."""

TWO_GPUS = '#!/bin/sh\n[ "$1" = --list-gpus ] || { echo no GPU; exit 9; }\nprintf "0\\n1\\n"\n'
"""A stand-in for nvidia-smi that lists two GPUs, so that the steps for several GPUs run."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the script is for bash"),
]


def run(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    listing = folder / "nvidia-smi"
    listing.write_text(TWO_GPUS)
    listing.chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "DRY": "1", "PATH": path}
    command = [str(SCRIPT), *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_every_step_is_run_and_the_worst_is_the_status(tmp_path: Path) -> None:
    result = run(tmp_path, tmp_path / "results")
    steps = json.loads((tmp_path / "results" / "steps.json").read_text())
    status = {step["step"]: step["status"] for step in steps}
    assert status.keys() == {"gpu"} | ANYWHERE | ON_CUDA | MORE
    assert result.returncode == int(any(status.values())), result.stdout
    assert not any(status[name] for name in ANYWHERE), result.stdout
    works = cuda_problem() is None
    assert all((status[name] == 0) == works for name in ON_CUDA), result.stdout
    for name in status:
        assert (tmp_path / "results" / f"{name}.log").read_text().strip()
    rows = json.loads((tmp_path / "results" / "fps.json").read_text())["rows"]
    assert rows[0]["size"] == "64x48"
    assert (tmp_path / "results" / "clip.mp4").exists()


def test_without_a_folder(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.returncode == 2
    assert "usage" in result.stderr
