"""The command line, with arguments as a user types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamstyle.cli.contact_sheet import ACROSS, CAPTION_HEIGHT, TILE_WIDTH
from streamstyle.cli.main import main
from streamstyle.styles import CLASSIC_STYLE, DEFAULT_MODEL, DEFAULT_STYLE, card_of
from tests.helpers.clips import Recipe, make_clip, read_clip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_video(folder: Path, capsys: pytest.CaptureFixture[str], inverter_path: Path) -> None:
    make_clip(folder / "in.mp4", Recipe(audio_seconds=(1.0,)))
    assert main(["video", "in.mp4", "out.mp4", "--style", str(inverter_path)]) == 0
    output = capsys.readouterr()
    assert "out.mp4: 25 frames in" in output.out
    assert "frames per second, by openvino on cpu" in output.out
    assert "decode" in output.out
    assert "paint" in output.out
    assert "encode" in output.out
    assert len(read_clip(folder / "out.mp4").times) == 25


def test_video_options(folder: Path, inverter_path: Path) -> None:
    make_clip(folder / "in.mp4", Recipe(pts=range(60), audio_seconds=(2.4,)))
    options = "--strength 0.5 --width 32 --resize --start 0:01 --duration 0.5 --side-by-side"
    options += " --codec hevc --crf 30 --preset ultrafast --engine openvino --device cpu"
    arguments = ["video", "in.mp4", "out.mkv", "--style", str(inverter_path), *options.split()]
    assert main([*arguments, "--precision", "fp32"]) == 0
    painted = read_clip(folder / "out.mkv")
    assert painted.kinds[0][1] == "hevc"
    assert painted.frames[0].shape == (24, 64, 3)
    assert len(painted.times) in (12, 13)
    assert main(arguments) == 2
    assert main([*arguments, "--overwrite"]) == 0


@pytest.mark.parametrize("name", ["10:30.mp4", "http:clip.mp4", "file:clip.mp4"])
def test_name_of_a_file_is_not_taken_for_a_protocol(
    folder: Path, inverter_path: Path, name: str
) -> None:
    make_clip(folder / name)
    assert main(["video", name, f"painted:{name}", "--style", str(inverter_path)]) == 0
    assert len(read_clip(folder / f"painted:{name}").times) == 25


def test_video_to_images(folder: Path, inverter_path: Path) -> None:
    make_clip(folder / "in.mp4", Recipe(pts=range(3)))
    assert main(["video", "in.mp4", "frames/", "--style", str(inverter_path)]) == 0
    names = sorted(p.name for p in (folder / "frames").iterdir())
    assert names == ["000001.png", "000002.png", "000003.png"]


def test_image(folder: Path, inverter_path: Path) -> None:
    image = np.full((48, 64, 3), 200, np.uint8)
    Image.fromarray(image).save(folder / "in.png")
    assert main(["image", "in.png", "out.png", "--style", str(inverter_path)]) == 0
    assert np.array_equal(np.asarray(Image.open("out.png")), 255 - image)


@pytest.mark.slow
def test_demo(folder: Path, capsys: pytest.CaptureFixture[str], inverter_path: Path) -> None:
    assert main(["demo", "--style", str(inverter_path)]) == 0
    output = capsys.readouterr()
    assert "streamstyle-demo.mp4: " in output.out
    assert "frames per second" in output.out
    assert "100%" in output.err or "frames/s" in output.err
    demo = read_clip(folder / "streamstyle-demo.mp4")
    assert demo.kinds[0][:2] == ("video", "h264")
    assert demo.kinds[1][:2] == ("audio", "aac")
    assert abs(demo.packets[1][-1][0] - demo.times[-1]) < 0.2


def test_styles_are_listed_with_artist_year_and_licence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["styles"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    card = card_of(DEFAULT_MODEL)
    assert len(lines) >= 16
    for line, style in zip(lines, card.styles, strict=True):
        assert line.startswith(style.name)
        for text in (style.artist, style.year, style.licence):
            assert text in line
    assert f"{CLASSIC_STYLE}:NAME" in last


def test_card_of_a_style(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["styles", DEFAULT_STYLE]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"{DEFAULT_STYLE}: The Starry Night, Vincent van Gogh")
    assert "great-wave" not in output
    assert "commands: streamstyle-export train many-style" in output
    assert "worst_psnr_db" in output
    assert main(["styles", "medium"]) == 0
    assert "great-wave: " in capsys.readouterr().out


@pytest.mark.slow
def test_contact_sheet(folder: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(image).save(folder / "photo.png")
    assert main(["styles", "--sheet", "sheet.png", "--photo", "photo.png", "photo.png"]) == 0
    sheet = np.asarray(Image.open("sheet.png"))
    names = [style.name for style in card_of(DEFAULT_MODEL).styles]
    blocks = -(-len(names) // ACROSS)
    block = CAPTION_HEIGHT + 2 * TILE_WIDTH * 60 // 80
    assert sheet.shape == (blocks * block, ACROSS * TILE_WIDTH, 3)
    assert main(["styles", "--sheet", "sheet.png"]) == 2  # the sheet exists


def test_doctor_says_what_runs_and_the_fix_for_what_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    assert "openvino on cpu: works" in output
    assert "--engine auto: takes " in output
    for line, following in zip(output.splitlines(), output.splitlines()[1:], strict=False):
        if "not used" in line:
            assert following.startswith("    ")


def test_doctor_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = {entry["subject"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert {"machine", "packages", "openvino on cpu", "--engine auto"} <= found.keys()
    assert found["openvino on cpu"]["works"]
    assert all(entry["works"] or entry["fix"] or entry["text"] for entry in found.values())


@pytest.mark.slow
def test_bench_prints_a_table(capsys: pytest.CaptureFixture[str], inverter_path: Path) -> None:
    assert (
        main(["bench", "--style", str(inverter_path), "--size", "64x48", "--seconds", "0.1"]) == 0
    )
    output = capsys.readouterr().out
    assert "| openvino on cpu in" in output
    assert "% of the engine alone" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("video missing.mp4 out.mp4", "missing.mp4 does not exist"),
        ("video pattern:testsrc out.xyz", "ends in .mp4"),
        ("video pattern:nonsense out.mp4", "no pattern nonsense"),
        ("video pattern:testsrc out.mp4 --style nonsense", "no style nonsense"),
        ("video pattern:testsrc out.mp4 --style star-night", "did you mean starry-night"),
        ("video pattern:testsrc out.mp4 --style missing.onnx", "cannot read the model"),
        ("video pattern:testsrc out.mp4 --strength 2", "from 0 to 1"),
        ("video pattern:testsrc out.mp4 --duration 0", "more than 0"),
        ("video pattern:testsrc out.mp4 --start -1", "0 s or later"),
        ("video pattern:testsrc out.mp4 --device toaster", "toaster"),
        ("video pattern:testsrc out.mp4 --codec nonsense", "no codec nonsense"),
        ("video pattern:testsrc frames/ --crf 20", "PNG images, which take no --codec"),
        ("video pattern:testsrc out.mp4 --alpha 0.5", "--levels and --alpha are for wct"),
        ("image a.png b.png --levels 1 --style stytr2 --style-image c.png", "are for wct"),
        ("demo --levels 1", "--levels and --alpha are for wct"),
        ("bench --alpha 0.5", "--levels and --alpha are for wct"),
        ("image missing.png out.png", "no file or folder"),
        ("bench --size 8x8", "at least 16x16"),
        ("video pattern:testsrc out.mp4 --width 10000000", "at most 16384 pixels a side"),
        ("live 99", "camera 99 cannot be opened"),
        ("live ²", "no camera ²"),
        ("live missing.mp4", "does not exist"),
        ("live screen:everything", "LEFT,TOP,WIDTHxHEIGHT"),
        ("live nonsense://camera", "built without this protocol"),
        ("live http://127.0.0.1:1/stream", "connection refused"),
        ("live pattern:testsrc --fps 0", "from 1 to 240"),
        ("live pattern:testsrc --stream gopher://x --no-window", "begins with rtmp://"),
        ("styles nonsense", "no style nonsense"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("video a b --engine nonsense", "invalid choice: 'nonsense'"),
        ("video a b --start soon", "a time is seconds or H:MM:SS"),
        ("video a b --start 1/0", "a time is seconds or H:MM:SS"),
        ("video a b --start 1e30", "a time is seconds or H:MM:SS"),
        ("video a b --duration 10000000000", "a time is seconds or H:MM:SS"),
        ("bench --size large", "such as 1280x720, got 'large'"),
        ("nonsense", "invalid choice"),
    ],
)
def test_arguments_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_module_runs(folder: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "streamstyle", "--version"], capture_output=True, text=True
    )
    assert run.returncode == 0
    assert run.stdout.strip() == "0.1.0"


@pytest.mark.slow
def test_machine_without_a_desktop(folder: Path, inverter_path: Path) -> None:
    """A fake cv2 fails to load, as the real one does without libGL."""
    (folder / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file')"
    )
    make_clip(folder / "in.mp4", Recipe(pts=range(3)))

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "streamstyle", "video", "in.mp4", "out.mp4", *options]
        command += ["--style", str(inverter_path)]
        path = os.environ | {"PYTHONPATH": str(folder)}
        return subprocess.run(command, capture_output=True, text=True, env=path)

    failed = run("--scale", "0.5")
    assert failed.returncode == 2
    assert "pip install opencv-python-headless" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert run().returncode == 0  # without scaling, cv2 is not needed


def test_names_that_are_no_text(folder: Path, inverter_path: Path) -> None:
    source, target = (os.fsdecode(name) for name in (b"in\xe9.mp4", b"out\xe9.mp4"))
    make_clip(folder / source, Recipe(pts=range(3)))
    command = [sys.executable, "-m", "streamstyle", "video", source, target]
    run = subprocess.run(
        [*command, "--style", str(inverter_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
    )
    assert run.returncode == 0, run.stderr
    assert "out\\udce9.mp4: 3 frames" in run.stdout
    assert (folder / target).exists()


def test_closed_output_is_no_traceback(folder: Path) -> None:
    """`streamstyle styles | head -1` closes the pipe early."""
    run = subprocess.run(
        f"{sys.executable} -m streamstyle styles | head -1",
        shell=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert "Traceback" not in run.stderr
