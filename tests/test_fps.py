"""The benchmark of frames per second: that it measures what it says. How fast is not tested."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks import johnson
from benchmarks.fps import _check_alike
from benchmarks.peers import peers
from export.losses import LossConfig
from streamstyle.bench import engine_memory, in_new_process
from streamstyle.styles import Transfer, open_engine, read_style
from tests.nets import write_training_material


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *map(str, words)]
    root = Path(__file__).parents[1]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def test_table_and_json(inverter_path: Path, tmp_path: Path) -> None:
    words = ["--style", inverter_path, "--sizes", "48x32", "64x48", "--seconds", "0.05"]
    result = run("fps", *words, "--json", tmp_path / "fps.json")
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "fps.json").read_text())["rows"]
    assert [row["size"] for row in rows] == ["48x32"] * 4 + ["64x48"] * 4
    with open_engine(inverter_path, "openvino", "cpu") as engine:
        precision = engine.precision  # bf16 where the processor has instructions for it
    ways = [
        f"openvino on cpu in {precision}",
        "onnxruntime on cpu in fp32",
        "onnxruntime as it comes",
    ]
    assert [row["way"] for row in rows[:3]] == ways
    assert rows[3]["way"].startswith("file to file, ")
    for row in rows[:3]:
        assert row["fps"] == pytest.approx(1000 / row["ms"])
        assert row["ms"] <= row["ms_95"] <= row["ms_99"]
        assert 20 < row["mb"] < 2000
    assert sum(line.startswith("| 48x32 | ") for line in result.stdout.splitlines()) == 4


@pytest.mark.parametrize("style", ["small:great-wave", "classic"])
def test_peers_paint_the_same_picture(style: str) -> None:
    card, inputs = read_style(style)
    frames = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), np.uint8)
    with open_engine(style, "openvino", "cpu", "fp32") as engine:
        wanted = engine.paint(frames)
    makers = peers(card, inputs, (64, 48))
    assert "torch.compile on cpu" in makers  # which would take a minute here
    for name in (
        "onnxruntime as it comes",
        "OpenCV's dnn",
        "PyTorch on cpu in float32",
        "PyTorch on cpu in bfloat16",
    ):
        _check_alike(makers[name]()(frames), wanted)


def test_net_beside_optimisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, photos, network = write_training_material(tmp_path)
    photo = next(photos.iterdir())
    monkeypatch.setattr(johnson, "PUBLISHED", {32: "so fast", 48: "so slow"})
    words = f"johnson {photo} {picture} --style small --seconds 0.01 --network {network}"
    small = partial(LossConfig, content_layers=("relu2_1",), style_layers=("relu1_1",))
    monkeypatch.setattr(johnson, "LossConfig", small)
    monkeypatch.setattr(sys, "argv", words.split())
    johnson.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["| 32", "| 48"]
    for row in rows:
        hundred, three, five = (int(cell.removesuffix(" x")) for cell in row[3:6])
        assert three == pytest.approx(3 * hundred, abs=3)
        assert five == pytest.approx(5 * hundred, abs=5)
    assert rows[1][6] == "so slow |"


def test_what_paints_another_picture_is_not_timed() -> None:
    black = np.zeros((1, 16, 16, 3), np.uint8)
    with pytest.raises(ValueError, match="another picture"):
        _check_alike(black + 30, black)


def test_memory_is_that_of_a_process_of_its_own(inverter_path: Path) -> None:
    here = np.ones((200, 1024, 1024), np.uint8)  # 200 MB, which are none of the engine's
    small, large = (
        in_new_process(engine_memory, inverter_path, Transfer(), "onnxruntime", "cpu", size)
        for size in ((64, 48), (2048, 2048))
    )
    assert small < 200 <= here.nbytes / 1e6
    assert large > small + 50


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "is one of cape, "),
        (["nothing"], "is one of cape, "),
        (["fps", "--style", "nosuch"], "has no style nosuch"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(words: list[str], said: str) -> None:
    result = run(*words)
    assert result.returncode == 2
    assert said in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
