"""Fixtures for every test, and a check that no test leaves a thread running."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engines import Engine, open_engine
from engines.availability import cuda_problem
from engines.tensorrt_ import plan_cache
from streamstyle import Clip, Encoding, Look, Report, VideoSettings, paint_video
from streamstyle.media.hwaccel import DEVICES, find_device
from tests.helpers.clips import Contents, Recipe, make_clip, read_clip
from tests.helpers.models import write_inverter

if TYPE_CHECKING:
    from export.families.wct.model import LevelGraph

SHARED = Path(os.environ.get("STREAMSTYLE_SHARED", Path(__file__).parents[2] / "shared"))
"""Clips, photos and paintings that are not part of the project."""


def pytest_configure() -> None:
    """Make torchvision importable next to a torch build that it was not compiled for.

    Also let torch use one core. Its threads wait for one another by spinning, so training tiny
    networks took twenty times as long on a machine that was busy with other work.
    """
    # Behind `nohup` or `&` these are ignored, also by what the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ["OMP_NUM_THREADS"] = "1"  # also for the processes that tests start
    try:
        import torch
    except ImportError:
        return
    for name, schema in (
        ("nms", "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"),
        ("qnms", "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"),
    ):
        if not hasattr(torch.ops.torchvision, name):
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(schema)
            _LIBRARIES.append(library)


_LIBRARIES: list[object] = []  # a schema lives as long as its library


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    left = [t.name for t in threading.enumerate() if t.name.startswith("streamstyle")]
    assert not left


@pytest.fixture
def shared() -> Path:
    """The folder of clips and photos next to the project; skips the test if there is none."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder of clips and photos, which is not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def cuda() -> None:
    """Skip a test that needs an NVIDIA GPU if CUDA does not run.

    With FAIL_WITHOUT_CUDA set in the environment, the test fails instead.
    """
    if (problem := cuda_problem()) is not None:
        _without_cuda(str(problem))


@pytest.fixture
def cuda_codecs() -> None:
    """Skip or fail a test, as `cuda` does, if FFmpeg cannot use CUDA."""
    device, problem = find_device("cuda") if "cuda" in DEVICES else (None, "no CUDA in this FFmpeg")
    if device is None:
        _without_cuda(problem)


def _without_cuda(problem: str) -> None:
    (pytest.fail if os.environ.get("FAIL_WITHOUT_CUDA") else pytest.skip)(problem)


@pytest.fixture(scope="session")
def inverter_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that paints the negative: exact, fast, and the same on every backend."""
    path = tmp_path_factory.mktemp("models") / "inverter.onnx"
    write_inverter(path)
    return path


@pytest.fixture
def inverter(inverter_path: Path) -> Iterator[Engine]:
    with open_engine(inverter_path, "openvino", "cpu", "fp32") as engine:
        yield engine


@pytest.fixture
def open_inverter(inverter_path: Path) -> Callable[[str], Engine]:
    return lambda _style: open_engine(inverter_path, "openvino", "cpu", "fp32")


@pytest.fixture
def plans_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which TensorRT's plans are kept during the test."""
    monkeypatch.setattr(plan_cache, "FOLDER", tmp_path / "plans")
    return tmp_path / "plans"


@pytest.fixture(scope="session")
def wct_graphs() -> "dict[str, LevelGraph]":
    """Graphs of two levels of an untrained compact WCT."""
    torch = pytest.importorskip("torch")
    from export.families.wct.compact_model import compact_autoencoder
    from export.families.wct.model import LevelGraph

    torch.manual_seed(0)
    nets = [compact_autoencoder(level) for level in ("relu1_1", "relu2_1")]
    for last in (nets[0].decoder, nets[1].pixels):  # initially they make everything nearly gray
        torch.nn.init.normal_(last.weight, std=0.05)
    for name, weights in (named for net in nets for named in net.named_parameters()):
        if name.endswith("bias"):  # the file would store equal biases only once
            torch.nn.init.normal_(weights, float(weights[0].detach()), std=0.01)
    return {net.level: LevelGraph(net).eval() for net in nets}


@pytest.fixture(scope="session")
def wct_path(tmp_path_factory: pytest.TempPathFactory, wct_graphs: "dict[str, LevelGraph]") -> Path:
    """The engine file with the two levels of `wct_graphs`."""
    from export.families.wct.onnx_file import write_levels

    path = tmp_path_factory.mktemp("models") / "wct.onnx"
    write_levels(wct_graphs, path, {"commands": ["made for tests"]}, lambda _trial: {})
    return path


UNPAINTED = Look(strength=0)
"""A look without painting, so that a test sees only what decoding and encoding change."""


@pytest.fixture(scope="session")
def any_picture_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine file of a network for any picture, with random weights."""
    torch = pytest.importorskip("torch")
    from export.common.engine_file import Description
    from export.families.any_picture.model import AnyPicture, AnyPictureConfig
    from export.families.any_picture.onnx_file import write_any_picture_engine
    from tests.helpers.nets import write_training_material

    folder = tmp_path_factory.mktemp("any-picture")
    _style, photos, _network = write_training_material(folder)
    torch.manual_seed(0)
    sizes = {"width": 8, "residual_blocks": 1, "decoder_width": 4}
    net = AnyPicture(AnyPictureConfig(**sizes, encoder_width=8, hidden=16)).eval()
    with torch.no_grad():
        net.predictor[-1].weight *= 200
    path = folder / "any-picture.onnx"
    description = Description("any-picture", strokes=(0.6, 1.0, 1.6))
    write_any_picture_engine(net, path, description, photos, photos)
    return path


@pytest.fixture
def painted(tmp_path: Path, inverter: Engine) -> Callable[..., tuple[Contents, Contents, Report]]:
    """Make a clip, paint it (at strength 0 unless a look is given), and read both files."""

    def paint(
        recipe: Recipe,
        suffix: str = ".mp4",
        to: str | None = None,
        look: Look = UNPAINTED,
        clip: Clip = Clip(),
        encoding: Encoding = Encoding(),
    ) -> tuple[Contents, Contents, Report]:
        source = make_clip(tmp_path / f"in{suffix}", recipe)
        target = tmp_path / f"out{to or suffix}"
        report = paint_video(
            source,
            target,
            engine=inverter,
            settings=VideoSettings(look=look, clip=clip, encoding=encoding),
        )
        assert sorted(p.name for p in tmp_path.iterdir()) == [source.name, target.name]
        return read_clip(source), read_clip(target), report

    return paint
