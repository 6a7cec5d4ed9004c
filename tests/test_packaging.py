"""Packaging: what the wheel contains, and what it and the extras install."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from configparser import ConfigParser
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from PIL import Image

ROOT = Path(__file__).parents[1]

PLATFORMS = [
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("win32", "AMD64"),
    ("darwin", "arm64"),
    ("darwin", "x86_64"),
]


def extras() -> dict[str, list[Requirement]]:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    return {
        name: [
            Requirement(line)
            for line in text.splitlines()
            if line.strip() and not line.strip().startswith("#")
        ]
        for name, text in parser["options.extras_require"].items()
    }


def installed_by(names: tuple[str, ...], platform: str, machine: str) -> set[str]:
    """Packages that the extras install on a platform, including extras that they refer to."""
    environment = default_environment() | {"sys_platform": platform, "platform_machine": machine}
    found: set[str] = set()
    for name in names:
        for requirement in extras()[name]:
            if requirement.marker and not requirement.marker.evaluate(environment):
                continue
            if requirement.name == "streamstyle":
                found |= installed_by(tuple(requirement.extras), platform, machine)
            else:
                found.add(requirement.name)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("platform", "machine"), PLATFORMS)
def test_no_combination_of_extras_installs_two_onnxruntimes(platform: str, machine: str) -> None:
    names = tuple(extras())
    for size in range(1, len(names) + 1):
        for chosen in combinations(names, size):
            onnxruntimes = {
                name
                for name in installed_by(chosen, platform, machine)
                if name.startswith("onnxruntime")
            }
            assert len(onnxruntimes) <= 1, f"{chosen} install {onnxruntimes} on {platform}"


def test_gpu_extra_has_the_gpu_build_where_there_is_one() -> None:
    assert "onnxruntime-gpu" in installed_by(("gpu",), "linux", "x86_64")
    assert "onnxruntime-gpu" in installed_by(("gpu",), "win32", "AMD64")
    assert "onnxruntime" in installed_by(("gpu",), "darwin", "arm64")


def test_tensorrt_is_the_one_that_onnxruntime_loads() -> None:
    (tensorrt,) = [r for r in extras()["tensorrt"] if r.name == "tensorrt-cu13"]
    assert not tensorrt.specifier.contains("11.0.0")
    assert tensorrt.specifier.contains("10.16.1")


def test_lean_runtime_is_of_the_same_cuda_and_versions() -> None:
    (full,) = [r for r in extras()["tensorrt"] if r.name == "tensorrt-cu13"]
    (lean,) = [r for r in extras()["tensorrt-lean"] if r.name == "tensorrt-lean-cu13"]
    assert full.specifier == lean.specifier


def test_runtime_installs_no_torch_and_no_onnxruntime() -> None:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    names = {Requirement(r).name for r in parser["options"]["install_requires"].split("\n") if r}
    assert not names & {"torch", "torchvision", "onnxruntime", "onnxruntime-gpu"}
    assert "openvino" in names


def test_constraints_match_torch_and_torchvision() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert pins["torch"] == "2.13.0"
    assert pins["torchvision"] == "0.28.0"


@pytest.mark.slow
def test_wheel_paints_where_other_packages_are_named_alike(tmp_path: Path) -> None:
    """The wheel works in a bare environment, next to the user's own `engines` and `export`."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    (sdist,) = tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"streamstyle"}
    zoo = {path.name for path in (ROOT / "engines" / "zoo").glob("*.onnx")}
    assert {Path(name).name for name in names if name.endswith(".onnx")} == zoo
    with tarfile.open(sdist) as file:
        assert {Path(name).name for name in file.getnames() if name.endswith(".onnx")} == zoo

    venv.create(tmp_path / "bare", with_pip=True)
    scripts = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([scripts / "python", "-m", "pip", "install", "--quiet", wheel], check=True)
    for name in ("engines", "export"):
        (tmp_path / "here" / name).mkdir(parents=True)
        (tmp_path / "here" / name / "__init__.py").write_text("raise ImportError('not ours')\n")
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "here" / "in.png")
    program = "from streamstyle.cli.main import main; raise SystemExit(main())"
    arguments = ["image", "in.png", "out.png", "--style", "small:great-wave"]
    run = partial(subprocess.run, cwd=tmp_path / "here", capture_output=True, text=True)
    painted = run([scripts / "python", "-c", program, *arguments])
    assert painted.returncode == 0, painted.stderr
    with Image.open(tmp_path / "here" / "out.png") as image:
        assert image.size == (64, 48)
    without_torch = run([scripts / "streamstyle-export", "--help"])
    assert "torch is not installed" in without_torch.stderr
    assert "Traceback" not in without_torch.stderr


@pytest.mark.slow
def test_editable_installation_finds_the_packages_of_the_repository(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    scripts = tmp_path / ("Scripts" if os.name == "nt" else "bin")
    install = [scripts / "python", "-m", "pip", "install", "--quiet", "-e", ROOT]
    subprocess.run(install, check=True)
    run = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True)
    without_torch = run([scripts / "streamstyle-export", "--help"])
    assert "torch is not installed" in without_torch.stderr
