"""The checks behind `doctor`: why an accelerator is not used, and the command that fixes it."""

import ctypes
from pathlib import Path

import pytest

from engines import availability


def install(folder: Path, name: str, version: str) -> None:
    """Write the metadata that pip leaves for an installed distribution."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that has only the distributions that the test installs."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.setattr(availability, "find_spec", lambda _name: object())
    return tmp_path


def test_no_onnxruntime(only: Path) -> None:
    problem = availability.onnxruntime_problem()
    assert problem is not None
    assert 'pip install ".[gpu]"' in problem.fix


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu"])
def test_one_onnxruntime_is_right(only: Path, name: str) -> None:
    install(only, name, "1.31.1")
    assert availability.onnxruntime_problem() is None


def test_two_onnxruntimes_overwrite_each_other(only: Path) -> None:
    install(only, "onnxruntime", "1.30.0")
    install(only, "onnxruntime-gpu", "1.31.1")
    problem = availability.onnxruntime_problem()
    assert problem is not None
    assert "overwritten each other" in problem.what
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in problem.fix
    assert problem.fix.endswith("pip install onnxruntime-gpu==1.31.1")


def test_onnxruntime_whose_files_are_gone(only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uninstalling one of two onnxruntimes leaves this behind."""
    install(only, "onnxruntime-gpu", "1.31.1")
    monkeypatch.setattr(availability, "find_spec", lambda _name: None)
    problem = availability.onnxruntime_problem()
    assert problem is not None
    assert "--force-reinstall onnxruntime-gpu==1.31.1" in problem.fix


def test_build_without_cuda(only: Path) -> None:
    install(only, "onnxruntime", "1.31.1")
    problem = availability.cuda_problem()
    assert problem is not None
    assert "does not support CUDA" in problem.what
    assert "pip uninstall -y onnxruntime " in problem.fix


class Driver:
    """A double for NVIDIA's driver, which none of our machines has."""

    def __init__(self, gpus: int, version: int) -> None:
        self._gpus, self._version = gpus, version

    def cuInit(self, _flags: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGetCount(self, count: object) -> int:  # noqa: N802
        count._obj.value = self._gpus
        return 0

    def cuDriverGetVersion(self, version: object) -> int:  # noqa: N802
        version._obj.value = self._version
        return 0


@pytest.fixture
def gpu_build(only: Path) -> None:
    install(only, "onnxruntime-gpu", "1.31.1")


def test_no_driver(gpu_build: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    problem = availability.cuda_problem()
    assert problem is not None
    assert "no NVIDIA driver" in problem.what


def test_driver_that_is_too_old(gpu_build: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Driver(1, 12040))
    problem = availability.cuda_problem()
    assert problem is not None
    assert "up to 12" in problem.what
    assert "580" in problem.fix


def test_no_gpu(gpu_build: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Driver(0, 13000))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    problem = availability.cuda_problem()
    assert problem is not None
    assert "nvidia-smi" in problem.fix


def test_gpu_that_is_hidden(gpu_build: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Driver(0, 13000))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    problem = availability.cuda_problem()
    assert problem is not None
    assert "unset CUDA_VISIBLE_DEVICES" in problem.fix


@pytest.fixture
def good_driver(gpu_build: None, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A GPU with its driver; the test adds the libraries that are present."""
    present: set[str] = set()

    def load(name: str) -> Driver:
        if name == "libcuda.so.1" or name in present:
            return Driver(1, 13000)
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(availability, "preload_cuda", lambda: None)
    return present


def test_missing_cuda_libraries(good_driver: set[str]) -> None:
    good_driver.add("libcudnn.so.9")
    problem = availability.cuda_problem()
    assert problem is not None
    assert "libcublasLt.so.13" in problem.what
    assert "libcudnn" not in problem.what
    assert '"onnxruntime-gpu[cuda,cudnn]==1.31.1"' in problem.fix


def test_missing_tensorrt(good_driver: set[str]) -> None:
    good_driver |= {"libcublasLt.so.13", "libcudart.so.13", "libcudnn.so.9", "libnvinfer.so.11"}
    assert availability.cuda_problem() is None
    problem = availability.onnxruntime_tensorrt_problem()
    assert problem is not None
    assert "libnvinfer.so.10" in problem.what
    assert 'pip install ".[tensorrt]"' in problem.fix
    good_driver.add("libnvinfer.so.10")
    assert availability.onnxruntime_tensorrt_problem() is None


def test_native_tensorrt(
    good_driver: set[str], only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full TensorRT needs CUDA's libraries, for onnxruntime; the lean runtime does not."""
    present: set[str] = set()

    def find(name: str) -> None:
        if name not in present:
            raise ImportError(name)

    monkeypatch.setattr(availability, "import_module", find)
    problem = availability.tensorrt_problem()
    assert problem is not None
    assert 'pip install ".[tensorrt]"' in problem.fix
    present.add("tensorrt_lean")
    problem = availability.tensorrt_problem()
    assert problem is not None
    assert "pip install cuda-bindings" in problem.fix
    install(only, "cuda-bindings", "13.5.0")
    assert availability.tensorrt_problem() is None
    present.add("tensorrt")
    problem = availability.tensorrt_problem()
    assert problem is not None
    assert "libcublasLt.so.13" in problem.what
    good_driver |= {"libcublasLt.so.13", "libcudart.so.13", "libcudnn.so.9"}
    assert availability.tensorrt_problem() is None


def test_native_tensorrt_without_a_driver(only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a driver TensorRT would end the process, so it is not even imported."""

    def refuse(_name: str) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(availability, "import_module", pytest.fail)
    problem = availability.tensorrt_problem()
    assert problem is not None
    assert "no NVIDIA driver" in problem.what
