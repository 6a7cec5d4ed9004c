"""The benchmark `fps` measures what it says; speed itself is not tested."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("torch")

from benchmarks import fps, johnson, observed, plots
from benchmarks.fps import check_alike, measured, watched
from benchmarks.peers import peers
from benchmarks.plots import write_plots
from benchmarks.table import Live, Row, Table, read_table, write_table
from benchmarks.ways import Way, WayError
from export.common.losses import LossConfig
from streamstyle import system
from streamstyle.cli.bench import Paint, Size
from streamstyle.errors import UserError
from streamstyle.styles import open_engine, parse_style
from tests.helpers import misbehaving
from tests.helpers.clips import Recipe, make_clip
from tests.helpers.nets import write_training_material

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

SIZE = (48, 32)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks", *map(str, words)]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", Recipe(pts=range(12)))


def table_of(*names: str) -> Table:
    about = ("a machine", "its packages", "negative", ["relu4_1"], 1.0, "abc", "pattern:testsrc")
    return Table(*about, 0.01, list(names))


def row_of(size: str, way: str, ms: float) -> Row:
    times = (ms, 2 * ms, 3 * ms)
    spread = tuple(np.linspace(ms / 2, 3 * ms, 101).tolist())
    return Row(size, way, 1000 / ms, *times, 100.0, ours=True, percentiles_ms=spread)


def test_table_and_json(inverter_path: Path, tmp_path: Path, clip: Path) -> None:
    words = [
        "--style",
        inverter_path,
        "--clip",
        clip,
        "--sizes",
        "64x48",
        "48x32",
        "--seconds",
        "0.05",
    ]
    result = run("fps", *words, "--no-live", "--json", tmp_path / "fps.json")
    assert result.returncode == 0, result.stderr
    table = json.loads((tmp_path / "fps.json").read_text())
    rows = table["rows"]
    ours = ["openvino on cpu in fp32", "onnxruntime on cpu in fp32"]
    with open_engine(inverter_path, "openvino", "cpu") as engine:
        if engine.precision != "fp32":  # if the processor has instructions for it
            ours.insert(1, f"openvino on cpu in {engine.precision}")
    names = [*ours, "onnxruntime as it comes"]
    assert [name for name in table["ways"] if "fp16" not in name and "cuda" not in name] == names
    each = len(table["ways"]) + 1
    assert [row["size"] for row in rows] == ["48x32"] * each + ["64x48"] * each
    assert [row["way"] for row in rows[:each]] == [*table["ways"], "file to file"]
    for row in rows[: each - 1]:
        assert row["fps"] == pytest.approx(1000 / row["ms"])
        assert row["ms"] <= row["ms_95"] <= row["ms_99"]
        assert row["percentiles_ms"][50] == pytest.approx(row["ms"], abs=0.001)
        assert 20 < row["mb"] < 2000
    assert rows[each - 1]["note"].partition(" of ")[2].removesuffix(" alone") in ours
    assert result.stdout.endswith((tmp_path / "fps.md").read_text())
    assert sum(line.startswith("| 48x32 | ") for line in result.stdout.splitlines()) == each
    assert "cost per pixel from 48x32 to 64x48 within a factor of " in result.stdout
    assert "onnxruntime on cpu in bf16 is left out: " in result.stdout


def test_interrupted_it_keeps_what_it_has_and_goes_on(
    inverter_path: Path, tmp_path: Path, clip: Path
) -> None:
    kept = tmp_path / "fps.json"
    words = ["fps", "--style", inverter_path, "--sizes", "32x32", "48x32", "64x48"]
    words += ["--clip", clip, "--no-peers", "--no-live", "--json", kept, "--seconds"]
    running = subprocess.Popen(
        command(*words, 0.05),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children: list[psutil.Process] = []
    while not kept.exists() or not children:  # ends when the second size has started
        assert running.poll() is None
        time.sleep(0.02)
        children = psutil.Process(running.pid).children(recursive=True) if kept.exists() else []
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said == f"interrupted; {kept} has the sizes so far\n"
    assert not psutil.wait_procs(children, timeout=20)[1]
    first = read_table(kept).rows
    assert {row.size for row in first} == {"32x32"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fps.json", "fps.md"]
    went_on = run(*words, 0.05)
    assert went_on.returncode == 0, went_on.stderr
    rows = read_table(kept).rows
    assert rows[: len(first)] == first
    assert [row.size for row in rows] == [s for s in ("32x32", "48x32", "64x48") for _ in first]
    other = run(*words, 0.07)
    assert other.returncode == 2
    assert f"{kept} has a table with another seconds; remove it" in other.stderr
    assert read_table(kept).rows == rows


@pytest.mark.parametrize(
    ("make", "note"),
    [
        (misbehaving.raises, "no room"),
        (misbehaving.dies, "its process ended with status 7"),
        (misbehaving.raises_later, "MemoryError"),
        (misbehaving.white, "it paints another picture"),
    ],
)
def test_a_way_that_fails_is_left_out_alone(make: Callable[[Size], Paint], note: str) -> None:
    runners = [Way("black", misbehaving.black), Way("wayward", make)]
    rows = {row.way: row for row in measured(table_of("black", "wayward"), runners, SIZE)}
    assert rows["wayward"].note == note
    assert rows["wayward"].fps is None
    assert rows["black"].note == ""
    assert rows["black"].fps is not None


def test_what_would_take_too_long_is_left_out() -> None:
    table = table_of("black", "slow")
    table.add([row_of("32x32", "black", 1.0), row_of("32x32", "slow", 9000.0)])
    runners = [Way("black", misbehaving.black), Way("slow", misbehaving.dies)]
    black, slow = measured(table, runners, (48, 48))
    assert black.fps is not None
    assert slow.note == "left out, a frame would take about 20 s"


def test_live_session_is_watched(inverter_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "WARM_UP_S", 1.0)
    monkeypatch.setattr(fps, "LIVE_SECONDS", 2.0)
    live = watched(str(inverter_path))
    assert live is not None
    assert 0 < live.age_ms <= live.age_ms_95 <= live.age_ms_99
    assert 0 < live.fps < 40
    assert 0 <= live.dropped < 1
    assert 0 < live.widths[0] <= live.widths[1] <= 640
    assert live.engine in ("", "openvino on cpu in fp32", "openvino on cpu in bf16")


def test_beside_an_earlier_table(tmp_path: Path) -> None:
    now, earlier = table_of("one", "new"), replace(table_of("one"), packages="older ones")
    now.add([row_of("64x48", "one", 4.0), row_of("64x48", "new", 1.0)])
    now.add([row_of("32x32", "one", 1.0)])
    now.live = Live("a pattern", "an engine", 29.7, 40.0, 50.0, 60.0, 0.012, (320, 640))
    earlier.add([row_of("64x48", "one", 8.0), Row("32x32", "one", note="left out")])
    write_table(now, tmp_path / "now.json", earlier)
    assert read_table(tmp_path / "now.json") == now
    said = (tmp_path / "now.md").read_text()
    assert said.index("| 32x32 | one |") < said.index("| 64x48 | one |")
    assert "| 64x48 | one | 250.0 | 4.0 | 8.0 | 12.0 | 1302.1 | 100 |  |\n" in said
    assert "new: cost per pixel" not in said  # it needs at least two sizes
    assert "| a pattern, an engine | 29.7 | 40 | 50 | 60 | 1.2% | 320 to 640 |\n" in said
    assert "Earlier, packages: older ones; now: its packages\n" in said
    _, _, beside = said.partition("| times earlier |\n")
    assert beside.splitlines()[1:] == ["| 64x48 | one | 250.0 | 125.0 | 2.00 |"]


def test_cost_per_pixel_over_sizes() -> None:
    table = table_of("a", "b")
    table.add([row_of("10x10", "a", 1.0), row_of("20x20", "a", 6.0)])
    table.add([row_of("10x10", "b", 0.5), row_of("20x20", "b", 9.0)])
    assert "\na: cost per pixel from 10x10 to 20x20 within a factor of 1.50\n" in table.tail(None)


def test_plots(tmp_path: Path) -> None:
    table = table_of("openvino", "another", "left out")
    for size in ("256x256", "640x480", "1280x720"):
        width, height = map(int, size.split("x"))
        ms = width * height / 1e5
        table.add([row_of(size, "openvino", ms), row_of(size, "another", 3 * ms)])
        table.add([Row(size, "left out", note="no"), Row(size, "file to file", 10.0)])
    write_plots(table, tmp_path / "plots")
    by_size, latency = ((tmp_path / "plots" / f"{n}.svg").read_text() for n in ("fps", "latency"))
    for text in (by_size, latency):
        assert ">openvino<" in text
        assert ">another<" in text
        assert ">left out<" not in text
        assert "file to file" not in text
    assert ">640x480<" in by_size
    assert ">10 ns per pixel<" in by_size
    assert "milliseconds for a frame of 1280x720" in latency


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "argv", ["fps", "--plots", str(tmp_path)])
    with pytest.raises(UserError, match=r"pip install \"\.\[bench\]\""):
        fps.main()


def test_machine_with_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script stands in for nvidia-smi, because the test machines have no GPU."""
    assert system.hardware().startswith(system.cpu())
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559 MiB, 580.65.06'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    gpu = "; NVIDIA H100 80GB HBM3, 81559 MiB, driver 580.65.06"
    assert system.hardware().endswith(gpu)
    program.write_text("#!/bin/sh\nexit 9\n")
    assert "NVIDIA" not in system.hardware()


@pytest.mark.parametrize("style", ["small:great-wave", "classic"])
def test_peers_paint_the_same_picture(style: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), np.uint8)
    with open_engine(style, "openvino", "cpu", "fp32") as engine:
        wanted = engine.paint(frames)
    makers = peers(parse_style(style))
    assert "torch.compile on cpu" in makers  # not run: compiling would take a minute
    for name in (
        "onnxruntime as it comes",
        "OpenCV's dnn",
        "PyTorch on cpu in float32",
        "PyTorch on cpu in bfloat16",
    ):
        check_alike(makers[name]((64, 48))(frames), wanted)


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
    with pytest.raises(WayError, match="another picture"):
        check_alike(black + 30, black)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "is one of cape, "),
        (["nothing"], "is one of cape, "),
        (["fps", "--style", "nosuch"], "has no style nosuch"),
        (["fps", "--sizes", "8x8"], "at least 16x16"),
        (["fps", "--json", "nosuch/fps.json"], "the folder nosuch does not exist"),
        (["fps", "--compare", "setup.cfg"], "setup.cfg is not a table that"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(words: list[str], said: str) -> None:
    result = run(*words)
    assert result.returncode == 2
    assert said in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
