"""Decoding and encoding on a graphics card, and the fallback and its note without one.

Some tests of decoding replace the driver with `cuda_stub.c`, so that they run on any machine:
FFmpeg and PyAV are real, the decoded picture is not.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamstyle import Clip, Encoding, UserError
from streamstyle.cli.main import main
from streamstyle.live.session import LiveSession
from streamstyle.media.color import BT709 as COLOR
from streamstyle.media.color import Color, Converter
from streamstyle.media.hwaccel import DEVICES, encoder_problem, find_device
from streamstyle.media.tone_mapping import ToneMap
from streamstyle.sources import open_live, open_video
from tests.helpers.clips import FULL, GREEN, LIMITED, Recipe, gradient, make_clip, needs_encoder

VARIABLE = Recipe(pts=(0, 3, 10, 11, 20), bars=(GREEN,))

without_card = pytest.mark.skipif(
    DEVICES != ("cuda",) or find_device("cuda")[0] is not None,
    reason="there is a card here, or an FFmpeg that knows others",
)


def decoded(clip: Path, hwaccel: str) -> tuple[list[Any], list[str]]:
    with open_video(str(clip), Clip(hwaccel=hwaccel)) as source:
        return list(source), source.notes


def test_unknown_device_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="cannot decode with abacus; --hwaccel takes off, auto"):
        Clip(hwaccel="abacus")
    assert main(["live", "--hwaccel", "abacus", "--no-window"]) == 2
    assert "abacus" in capsys.readouterr().err


@without_card
@pytest.mark.parametrize("hwaccel", ["cuda", "auto"])
def test_without_a_card_the_processor_decodes_and_it_is_said(tmp_path: Path, hwaccel: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4", VARIABLE)
    plain, silent = decoded(clip, "off")
    frames, notes = decoded(clip, hwaccel)
    assert silent == []
    assert len(notes) == 1
    assert notes[0].startswith("clip.mp4 was decoded by the processor: ")
    assert "cuda does not start here (could not dynamically load CUDA)" in notes[0]
    assert [f.pts_seconds for f in frames] == [f.pts_seconds for f in plain]
    for frame, same in zip(frames, plain, strict=True):
        assert np.array_equal(frame.image, same.image)


@without_card
def test_live_says_it_too(tmp_path: Path, open_inverter: Callable[[str], Any]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Recipe(pts=range(5)))
    opener, endless = open_live(str(clip), (64, 48), 25, False, False, Clip(hwaccel="cuda"))
    with LiveSession(opener, endless=endless) as session:
        while not session.ended:
            session.wait(0.1)
    session.close()
    assert [note for note in session.notes if "decoded by the processor" in note] == session.notes
    assert len(session.notes) == 1


@without_card
def test_command_says_it_too(
    tmp_path: Path, inverter_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "in.mp4", Recipe(pts=range(5)))
    arguments = ["video", str(clip), str(tmp_path / "out.mp4"), "--style", str(inverter_path)]
    assert main([*arguments, "--hwaccel", "cuda", "--codec", "hevc_nvenc"]) == 0
    output = capsys.readouterr().out
    assert "was decoded by the processor" in output
    assert "hevc_nvenc does not start here (cannot load libcuda.so.1); libx265 writes" in output


SEEN = """
import json, sys
from streamstyle.sources import Clip, open_video

with open_video(sys.argv[1], Clip(hwaccel="cuda")) as source:
    frames = list(source)
    print(json.dumps({
        "times": [str(frame.pts_seconds) for frame in frames],
        "size": frames[0].image.shape,
        "info": (source.info.height, source.info.width),
        "color": frames[0].image.mean((0, 1)).round().tolist(),
        "notes": source.notes,
        "chroma": source.info.video.chroma,
    }))
"""


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stub of NVIDIA's driver."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).parents[2] / "helpers" / "cuda_stub.c"
    driver = folder / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", driver, source], check=True)
    (folder / "libnvcuvid.so.1").symlink_to(driver)
    return folder


def seen(clip: Path, stub: Path, **environment: str) -> dict[str, Any]:
    """Return what `SEEN` prints about a clip, with the stub in place of a card.

    It runs in a new process, because a process looks for libraries in the same places throughout.
    """
    run = subprocess.run(
        [sys.executable, "-c", SEEN, str(clip)],
        env={**os.environ, "LD_LIBRARY_PATH": str(stub), **environment},
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, Any] = json.loads(run.stdout)
    return result


@pytest.mark.parametrize(
    ("recipe", "notes"),
    [
        (Recipe(), []),
        (Recipe(codec="libx265"), []),
        (Recipe(codec="libx265", pixel_format="yuv420p10le"), ["has 10 bits"]),
        (Recipe(codec="libvpx-vp9"), []),
        (Recipe(codec="libvpx-vp9", size=(65, 49)), []),
        (Recipe(rotation=90), []),
    ],
    ids=["h264", "hevc", "10 bits", "vp9", "odd size", "rotated"],
)
def test_card_decodes(tmp_path: Path, stub: Path, recipe: Recipe, notes: list[str]) -> None:
    # The file is gray, so that green can only come from the card.
    grey = replace(recipe, pts=VARIABLE.pts, bars=((128, 128, 128),))
    clip = make_clip(tmp_path / "clip.mkv", grey)
    result = seen(clip, stub)
    width, height = recipe.size if not recipe.rotation else recipe.size[::-1]
    assert result["size"] == [height, width, 3]
    assert result["info"] == [height, width]
    assert np.abs(np.array(result["color"]) - GREEN).max() <= 2
    assert result["chroma"] == "420"
    assert result["times"] == [str(frame.pts_seconds) for frame in decoded(clip, "off")[0]]
    assert len(result["notes"]) == len(notes)
    assert all(words in note for words, note in zip(notes, result["notes"], strict=True))


@pytest.mark.parametrize(
    ("codec", "environment"),
    [("libx264", {"STUB_REFUSES": "1"}), ("ffv1", {})],
    ids=["refused by the card", "known to no card"],
)
def test_what_the_card_does_not_decode(
    tmp_path: Path, stub: Path, codec: str, environment: dict[str, str]
) -> None:
    recipe = replace(VARIABLE, codec=codec, bars=((0, 0, 255),))
    clip = make_clip(tmp_path / "clip.mkv", recipe)
    result = seen(clip, stub, **environment)
    name = {"libx264": "h264"}.get(codec, codec)
    assert result["notes"] == [
        f"clip.mkv was decoded by the processor: the device cannot decode this {name}"
    ]
    frames, _ = decoded(clip, "off")
    assert result["times"] == [str(frame.pts_seconds) for frame in frames]
    assert result["color"] == frames[0].image.mean((0, 1)).round().tolist()


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize(
    ("planar", "other"),
    [
        ("yuv420p", "nv12"),
        ("yuv420p", "p010le"),
        ("yuv420p", "p016le"),
        ("yuv422p", "nv16"),
        ("yuv422p", "p210le"),
    ],
)
def test_colors_are_the_same_in_the_formats_of_cards(
    color_range: int, planar: str, other: str
) -> None:
    color = replace(COLOR, range=color_range)
    frame = Converter().from_rgb(gradient().to_ndarray(), color, planar)
    frame.color_range = color_range
    same = frame.reformat(format=other, src_color_range=color_range, dst_color_range=color_range)
    assert Color.of(same) == Color.of(frame)
    difference = Converter().to_rgb(frame, color).astype(int) - Converter().to_rgb(same, color)
    assert np.abs(difference).max() <= (0 if other.startswith("nv") else 3)
    assert abs(difference.mean()) < 0.3


@pytest.mark.slow
def test_tone_mapping_is_the_same_in_the_formats_of_cards() -> None:
    frame = gradient().reformat(format="yuv420p10le")
    frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = 9, 1, 9, 16
    same = frame.reformat(format="p010le")
    mapped = [ToneMap(one)(one).to_ndarray().astype(int) for one in (frame, same)]
    assert np.abs(mapped[0] - mapped[1]).max() <= 1


@without_card
@pytest.mark.parametrize(
    ("codec", "software", "why"),
    [
        pytest.param(codec, software, why, marks=needs_encoder(codec))
        for codec, software, why in (
            ("h264_nvenc", "libx264", "cannot load libcuda.so.1"),
            ("hevc_nvenc", "libx265", "cannot load libcuda.so.1"),
            ("h264_amf", "libx264", "AMF"),
        )
    ],
)
def test_without_a_card_the_processor_encodes_and_it_is_said(
    painted: Callable[..., Any], tmp_path: Path, codec: str, software: str, why: str
) -> None:
    recipe = replace(VARIABLE, bars=(), audio_seconds=(0.8,), chapters=True)
    preset = "p5" if codec.endswith("nvenc") else "quality"
    before, after, report = painted(recipe, encoding=Encoding(codec, crf=30, preset=preset))
    assert len(report.notes) == 1
    assert report.notes[0].startswith(f"{codec} does not start here (")
    assert why in report.notes[0]
    assert f"{software} writes instead, with crf=30 preset=" in report.notes[0]
    assert after.times == before.times
    assert after.packets == before.packets
    assert len(after.chapters) == 2
    settings = settings_in(tmp_path / "out.mp4")
    (tmp_path / "out.mp4").unlink()
    _, same, _ = painted(recipe, encoding=Encoding({"libx264": "h264"}.get(software, "hevc"), 30))
    assert after.kinds == same.kinds
    assert b"crf=30" in settings
    assert settings_in(tmp_path / "out.mp4") == settings
    # x264 may give different bits once the process has done other work.
    for a, b in zip(after.frames, same.frames, strict=True):
        assert np.abs(a.astype(int) - b).mean() < 4


def settings_in(path: Path) -> bytes:
    """Return the settings that x264 and x265 write into the video."""
    (found,) = re.findall(rb"x26[45][^\0]{1,400}options: ([ -~]+)", path.read_bytes())
    settings: bytes = found
    return settings


# With a card


def test_cuda_decodes_as_the_processor_does(cuda_codecs: None, tmp_path: Path) -> None:
    for codec, kind in (("libx264", "yuv420p"), ("libx265", "yuv420p10le")):
        recipe = Recipe(size=(256, 192), pts=VARIABLE.pts, codec=codec, pixel_format=kind)
        clip = make_clip(tmp_path / f"{codec}.mp4", recipe)
        plain, plain_notes = decoded(clip, "off")
        frames, notes = decoded(clip, "cuda")
        assert notes == plain_notes
        assert [f.pts_seconds for f in frames] == [f.pts_seconds for f in plain]
        for frame, same in zip(frames, plain, strict=True):
            assert np.abs(frame.image.astype(int) - same.image).mean() < 3


@pytest.mark.parametrize("codec", ["h264_nvenc", "hevc_nvenc"])
def test_cuda_encodes(cuda_codecs: None, painted: Callable[..., Any], codec: str) -> None:
    problem = encoder_problem(codec, Encoding(codec).options(codec), "yuv420p", 256, 192)
    if problem is not None:  # data center cards have no encoder
        pytest.skip(f"this card does not encode: {problem}")
    recipe = replace(VARIABLE, size=(256, 192), time_base=Fraction(1, 90_000))
    before, after, report = painted(recipe, encoding=Encoding(codec, preset="p4"))
    assert report.notes == ()
    assert after.times == before.times
    assert np.abs(after.frames[2].astype(int) - before.frames[2]).mean() < 4
