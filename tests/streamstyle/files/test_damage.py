"""Broken, truncated and unusual input is painted as far as it goes, or refused."""

import signal
import subprocess
import sys
import time
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from engines import Engine
from streamstyle import UserError, VideoSettings, paint_video
from streamstyle.pipeline import Stats
from streamstyle.sources import SourceInfo
from tests.helpers.clips import Recipe, make_clip, read_clip
from tests.helpers.serving import QuietHandler, serving

LONG = Recipe(size=(160, 120), pts=range(100), audio_seconds=(4.0,), options={"g": "10"})


def test_damaged_packets_in_the_middle_are_counted_and_the_rest_is_painted(
    tmp_path: Path, inverter: Engine
) -> None:
    source = make_clip(tmp_path / "in.ts", LONG)
    data = bytearray(source.read_bytes())
    noise = np.random.default_rng(0)
    for start in range(len(data) // 3, len(data) // 2, 1880):
        # Skip the 4 bytes of the transport packet's header, so that the damage hits the picture.
        at = start // 188 * 188 + 40
        data[at : at + 100] = noise.integers(0, 256, 100, np.uint8).tobytes()
    source.write_bytes(data)
    report = paint_video(source, tmp_path / "out.mp4", engine=inverter)
    painted = read_clip(tmp_path / "out.mp4")
    assert len(painted.times) > 80
    assert painted.times[-1] - painted.times[0] == Fraction(99, 25)
    assert any("damaged" in note for note in report.notes)


def test_decoders_have_different_words_for_damage(tmp_path: Path, inverter: Engine) -> None:
    """The decoder for H.263 reports damage as "operation not permitted"."""
    recipe = Recipe(size=(176, 144), codec="h263", pts=range(40), options={"g": "5"})
    source = make_clip(tmp_path / "in.3gp", recipe)
    data = bytearray(source.read_bytes())
    third, noise = len(data) // 3, np.random.default_rng(0).integers(0, 256, 1400, np.uint8)
    data[third : third + len(noise)] = noise.tobytes()
    source.write_bytes(data)
    report = paint_video(source, tmp_path / "out.mp4", engine=inverter)
    assert 10 < len(read_clip(tmp_path / "out.mp4").times) < 40
    assert any("damaged" in note for note in report.notes)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_truncated_file_is_painted_as_far_as_it_goes(
    tmp_path: Path, inverter: Engine, suffix: str
) -> None:
    recipe = Recipe(size=(160, 120), pts=range(100), options={"g": "10"})
    source = make_clip(tmp_path / f"whole{suffix}", recipe)
    if suffix == ".mp4":  # its index must be at the front to survive a cut
        source = _with_index_first(source)
    data = source.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: len(data) // 2])
    report = paint_video(cut, tmp_path / f"out{suffix}", engine=inverter)
    frames = len(read_clip(tmp_path / f"out{suffix}").times)
    assert 20 < frames < 80
    if suffix != ".ts":  # a .ts file does not state its length
        assert any("ends early" in note for note in report.notes), report.notes


def _with_index_first(path: Path) -> Path:
    import av

    target = path.with_name("indexed.mp4")
    with av.open(path) as source, av.open(target, "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return target


def test_mp4_without_its_index_is_refused(tmp_path: Path, inverter: Engine) -> None:
    source = make_clip(tmp_path / "whole.mp4", LONG)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(source.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"cannot open .*cut.mp4"):
        paint_video(cut, tmp_path / "out.mp4", engine=inverter)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "cannot open"), (b"not a video at all" * 99, "cannot open")]
)
def test_what_is_no_video_is_refused(
    tmp_path: Path, inverter: Engine, content: bytes, words: str
) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(content)
    with pytest.raises(UserError, match=words):
        paint_video(source, tmp_path / "out.mp4", engine=inverter)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


def test_sound_alone_is_refused(tmp_path: Path, inverter: Engine) -> None:
    import av

    source = tmp_path / "in.m4a"
    with av.open(source, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(UserError, match="no video track"):
        paint_video(source, tmp_path / "out.mp4", engine=inverter)


def test_edit_list_is_obeyed(tmp_path: Path, inverter: Engine) -> None:
    """Frames that an edit list hides stay hidden; cutting between key frames makes such a list."""
    import av

    whole = make_clip(tmp_path / "whole.mp4", Recipe(pts=range(50), options={"g": "25", "bf": "0"}))
    source = tmp_path / "cut.mp4"
    with av.open(whole) as file, av.open(source, "w") as out:
        stream = out.add_stream_from_template(file.streams.video[0])
        for packet in file.demux(video=0):
            if packet.size:
                assert packet.pts is not None
                offset = round(Fraction(1, 5) / packet.time_base)
                packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
                packet.stream = stream
                out.mux(packet)
    visible = read_clip(source)
    assert visible.times[0] >= 0
    assert len(visible.times) < 50
    paint_video(source, tmp_path / "out.mp4", engine=inverter)
    assert read_clip(tmp_path / "out.mp4").times == visible.times


def test_address(tmp_path: Path, inverter: Engine) -> None:
    """Paints a video over HTTP from a server that can't seek."""
    make_clip(tmp_path / "clip.mkv", Recipe(audio_seconds=(1.0,)))
    handler = partial(QuietHandler, directory=str(tmp_path))
    with serving(handler) as address:
        paint_video(f"{address}/clip.mkv", tmp_path / "out.mkv", engine=inverter)
        with pytest.raises(UserError, match="cannot open"):
            paint_video(f"{address}/no.mkv", tmp_path / "other.mkv", engine=inverter)
    assert len(read_clip(tmp_path / "out.mkv").times) == 25


def test_connection_that_breaks_off(tmp_path: Path, inverter: Engine) -> None:
    clip = make_clip(tmp_path / "clip.mkv", LONG).read_bytes()

    class HalfHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server requires this name
            self.send_response(200)
            self.send_header("Content-Length", str(len(clip)))
            self.end_headers()
            self.wfile.write(clip[: len(clip) // 2])

        def log_message(self, *_args: object) -> None:
            pass

    with serving(HalfHandler) as address:
        report = paint_video(f"{address}/clip.mkv", tmp_path / "out.mkv", engine=inverter)
    assert 20 < len(read_clip(tmp_path / "out.mkv").times) < 80
    assert any("ends early" in note or "read to its end" in note for note in report.notes)


def test_existing_output_is_refused_and_untouched(tmp_path: Path, inverter: Engine) -> None:
    source = make_clip(tmp_path / "in.mp4")
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(UserError, match="--overwrite"):
        paint_video(source, target, engine=inverter)
    assert target.read_bytes() == b"precious"
    paint_video(source, target, engine=inverter, settings=VideoSettings(overwrite=True))
    assert len(read_clip(target).times) == 25


def test_input_is_never_overwritten(tmp_path: Path, inverter: Engine) -> None:
    source = make_clip(tmp_path / "in.mp4")
    before = source.read_bytes()
    link = tmp_path / "link.mp4"
    link.hardlink_to(source)
    for target in (source, link):
        with pytest.raises(UserError, match="the input itself"):
            paint_video(source, target, engine=inverter, settings=VideoSettings(overwrite=True))
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("out.avi", "ends in .mp4"),
        ("out", "ends in .mp4"),
        ("missing/out.mp4", "does not exist"),
    ],
)
def test_bad_targets(tmp_path: Path, inverter: Engine, target: str, words: str) -> None:
    source = make_clip(tmp_path / "in.mp4")
    with pytest.raises(UserError, match=words):
        paint_video(source, tmp_path / target, engine=inverter)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


def test_file_appears_only_when_complete(tmp_path: Path, inverter: Engine) -> None:
    source = make_clip(tmp_path / "in.mp4", LONG)
    target = tmp_path / "out.mp4"
    seen = []

    def look(_info: SourceInfo, stats: Stats) -> None:
        if 0 < stats.frames < 100:
            seen.append((target.exists(), (tmp_path / "out.partial.mp4").exists()))

    paint_video(source, target, engine=_Slow(inverter), on_progress=look)
    assert seen
    assert set(seen) == {(False, True)}
    assert target.exists()
    assert not (tmp_path / "out.partial.mp4").exists()


class _Slow:
    """A slow engine, so that a test can look at files while they are written."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def paint(self, frames: np.ndarray, style: dict[str, np.ndarray]) -> np.ndarray:
        time.sleep(0.02)
        return self._engine.paint(frames, style)


def test_ctrl_c_leaves_a_playable_part_and_says_where(tmp_path: Path, inverter: Engine) -> None:
    source = make_clip(tmp_path / "in.mp4", LONG)

    def press_ctrl_c(_info: SourceInfo, stats: Stats) -> None:
        if stats.frames > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        paint_video(source, tmp_path / "out.mp4", engine=_Slow(inverter), on_progress=press_ctrl_c)
    partial_file = tmp_path / "out.partial.mp4"
    assert any(str(partial_file) in note for note in caught.value.__notes__)
    assert not (tmp_path / "out.mp4").exists()
    part = read_clip(partial_file)
    assert 20 < len(part.times) < 100
    assert part.packets[1]  # with its sound


def test_earlier_part_is_not_overwritten_by_the_next(tmp_path: Path, inverter: Engine) -> None:
    source = make_clip(tmp_path / "in.mp4")
    (tmp_path / "out.partial.mp4").write_bytes(b"from yesterday")
    paint_video(source, tmp_path / "out.mp4", engine=inverter)
    assert (tmp_path / "out.partial.mp4").read_bytes() == b"from yesterday"


@pytest.mark.slow
def test_full_disk_is_one_sentence_and_keeps_what_fitted(tmp_path: Path) -> None:
    """A limit on the file size stands in for a full disk."""
    resource = pytest.importorskip("resource", reason="Windows limits no file's size")
    make_clip(tmp_path / "in.mkv", LONG)
    command = [sys.executable, "-m", "streamstyle", "video", "in.mkv", "out.mkv"]
    command += ["--style", str(_inverter_file(tmp_path)), "--crf", "0"]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert "cannot write out.mkv" in run.stderr
    assert not (tmp_path / "out.mkv").exists()


def _inverter_file(folder: Path) -> Path:
    from tests.helpers.models import write_inverter

    write_inverter(folder / "inverter.onnx")
    return folder / "inverter.onnx"


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_command_cleanly(tmp_path: Path, stop: signal.Signals) -> None:
    command = [sys.executable, "-m", "streamstyle", "video", "pattern:testsrc", "out.mkv"]
    command += ["--style", str(_inverter_file(tmp_path)), "--duration", "1:00:00"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    part = tmp_path / "out.partial.mkv"
    deadline = time.perf_counter() + 30
    while not (part.exists() and part.stat().st_size > 100_000):
        assert time.perf_counter() < deadline
        time.sleep(0.05)
    process.send_signal(stop)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "out.partial.mkv" in stderr
    assert "Traceback" not in stderr
    assert len(read_clip(part).times) > 5


@pytest.mark.slow
def test_memory_stays_flat_over_thousands_of_frames(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="Windows tells no peak of memory")
    make_clip(tmp_path / "in.mp4", Recipe(size=(64, 48), pts=range(6000), audio_seconds=(240.0,)))
    script = (
        "import resource, sys\n"
        "from streamstyle import open_engine, paint_video\n"
        "peaks = []\n"
        "def watch(info, stats):\n"
        "    peaks.append((stats.frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))\n"
        "with open_engine(sys.argv[1], 'openvino', 'cpu') as engine:\n"
        "    paint_video('in.mp4', 'out.mp4', engine=engine, on_progress=watch)\n"
        "early = [kb for frames, kb in peaks if 500 < frames < 1500]\n"
        "print(early[-1], peaks[-1][1])\n"
    )
    command = [sys.executable, "-c", script, str(_inverter_file(tmp_path))]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    early, late = map(int, run.stdout.split())
    assert late - early < 30_000, f"peak memory grew from {early} kB to {late} kB"
