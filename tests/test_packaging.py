"""What the extras install."""

from configparser import ConfigParser
from itertools import combinations
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

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
    """What the extras install on a platform, those that they name of our own included."""
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
