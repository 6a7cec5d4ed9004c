"""Every frame of a span is found and timed, however badly FFmpeg seeks in its container."""

import struct
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import pytest

from engines import Engine
from streamstyle import Clip, VideoSettings, paint_video
from streamstyle.frame import Frame
from streamstyle.sources.video import VideoSource
from tests.conftest import UNPAINTED
from tests.helpers.clips import Recipe, gradient, make_clip, needs_encoder, read_clip
from tests.helpers.serving import QuietHandler, serving

PART = Clip(Fraction(13, 10), Fraction(1, 2))


def read(location: Path | str, clip: Clip = Clip()) -> list[Frame]:
    """Return the frames of a video that gives no reason for a note."""
    with VideoSource(str(location), clip) as source:
        frames = list(source)
        assert source.notes == []
    return frames


def check_part(location: Path | str, clip: Clip = PART) -> None:
    """Check that a part of a video has exactly the frames that the whole has there."""
    start, length = clip.start_seconds, clip.duration_seconds
    with av.open(str(location)) as file:
        # The clock begins with the sound, which may come before the first picture.
        begin = min(Fraction(file.start_time or 0, av.time_base), Fraction(0))
    whole = [(f.pts_seconds - begin - start, f.image) for f in read(location)]
    expected = [(time, image) for time, image in whole if 0 <= time < length]
    part = read(location, clip)
    assert len(part) == len(expected) >= 12
    for frame, (time, image) in zip(part, expected, strict=True):
        assert abs(frame.pts_seconds - time) < Fraction(1, 500)
        assert (frame.image == image).all()


def clip_of(path: Path, codec: str = "libx264", sound: str | None = "aac", **options: str) -> Path:
    """Write three seconds of video, with sound in the codec given."""
    return make_clip(
        path,
        Recipe(
            size=(96, 72),
            pts=range(75),
            codec=codec,
            audio_seconds=() if sound is None else (3.0,),
            audio_codec=sound or "",
            audio_rate=44100,
            options=options,
        ),
    )


@pytest.mark.parametrize("group", ["12", "50", "250"])
@pytest.mark.parametrize(
    ("suffix", "codec", "sound"),
    [
        (".ts", "libx264", "aac"),
        (".m2ts", "libx264", "ac3"),
        pytest.param(".ts", "libx265", "aac", marks=needs_encoder("libx265")),
        (".ts", "mpeg2video", "mp2"),
        (".vob", "mpeg2video", "mp2"),
        (".mpg", "mpeg2video", "mp2"),
        (".flv", "libx264", "aac"),
        (".flv", "flv", "aac"),
        (".asf", "wmv2", "ac3"),
        (".nut", "mpeg4", "aac"),
        (".mkv", "libx264", "aac"),
        (".mp4", "libx264", "aac"),
        (".h264", "libx264", None),
        pytest.param(".hevc", "libx265", None, marks=needs_encoder("libx265")),
        (".m2v", "mpeg2video", None),
        (".mjpg", "mjpeg", None),
    ],
)
def test_part_has_the_frames_of_the_whole(
    tmp_path: Path, suffix: str, codec: str, sound: str | None, group: str
) -> None:
    options = {"bf": "2"} if codec in ("libx264", "mpeg2video") else {}
    if codec == "mjpeg":
        source = tmp_path / "in.mjpg"
        source.write_bytes(_jpegs(75))
    else:
        source = clip_of(tmp_path / f"in{suffix}", codec, sound, g=group, **options)
    check_part(source)


def _jpegs(count: int) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    data = b""
    for number in range(count):
        frame = gradient().reformat(width=64, height=48, format="yuvj420p")
        frame.pts = number
        data += b"".join(bytes(packet) for packet in encoder.encode(frame))
    return data


@pytest.mark.parametrize("group", ["12", "50", "250"])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "msmpeg4"])
def test_part_of_an_avi_without_its_index(tmp_path: Path, codec: str, group: str) -> None:
    source = clip_of(tmp_path / "in.avi", codec, "mp2", g=group, bf="0")
    data = source.read_bytes()
    source.write_bytes(data[: data.rindex(b"idx1")])
    check_part(source)


@pytest.mark.parametrize("options", ["intra-refresh=1:keyint=20", "open-gop=1:keyint=20:bframes=3"])
def test_part_that_begins_amid_pictures_that_need_earlier_ones(
    tmp_path: Path, options: str
) -> None:
    source = clip_of(tmp_path / "in.ts", **{"x264-params": options})
    for tenths in range(4, 20, 3):
        check_part(source, Clip(Fraction(tenths, 10), Fraction(1, 2)))


@pytest.mark.parametrize(("suffix", "sound"), [(".ts", "aac"), (".mpg", "mp2"), (".flv", "aac")])
def test_sound_begins_with_the_picture(
    tmp_path: Path, inverter: Engine, suffix: str, sound: str
) -> None:
    codec = "mpeg2video" if suffix == ".mpg" else "libx264"
    source = clip_of(tmp_path / f"in{suffix}", codec, sound, g="50")
    target = tmp_path / "out.mkv"
    paint_video(source, target, engine=inverter, settings=VideoSettings(look=UNPAINTED, clip=PART))
    times = [time for time, _ in read_clip(target).packets[1]]
    assert abs(times[0]) < 0.03
    assert abs(times[-1] - PART.duration_seconds) < 0.06
    assert max(b - a for a, b in pairwise(times)) < 0.03


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
def test_part_from_a_server_that_cannot_seek(tmp_path: Path, suffix: str) -> None:
    clip_of(tmp_path / f"in{suffix}", g="50")
    with serving(partial(QuietHandler, directory=str(tmp_path))) as address:
        part = read(f"{address}/in{suffix}", PART)
    assert [f.pts_seconds for f in part] == [
        f.pts_seconds for f in read(tmp_path / f"in{suffix}", PART)
    ]


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(24000, 1001)])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".h264", "libx264"),
        (".m2v", "mpeg2video"),
        pytest.param(".hevc", "libx265", marks=needs_encoder("libx265")),
    ],
)
def test_raw_stream_plays_at_the_rate_that_it_states(
    tmp_path: Path, suffix: str, codec: str, rate: Fraction
) -> None:
    with av.open(tmp_path / f"in{suffix}", "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(30):
            file.mux(stream.encode(gradient()))
        file.mux(stream.encode(None))
    with VideoSource(str(tmp_path / f"in{suffix}")) as source:
        assert source.info.video is not None
        assert source.info.video.frame_rate == rate
        assert [f.pts_seconds for f in source] == [n / rate for n in range(30)]


def test_raw_stream_that_states_no_rate_plays_at_25(shared: Path) -> None:
    frames = read(shared / "clips" / "osai_billiard.h264")
    assert [f.pts_seconds for f in frames] == [Fraction(n, 25) for n in range(100)]


def test_times_that_are_the_order_of_decoding(tmp_path: Path) -> None:
    """Some programs write these into the place of the times of showing."""
    clip_of(tmp_path / "in.mkv", sound=None, bf="2", g="50")
    with av.open(tmp_path / "in.mkv") as file, av.open(tmp_path / "wrong.mkv", "w") as copy:
        stream = copy.add_stream_from_template(file.streams.video[0])
        for number, packet in enumerate(p for p in file.demux(video=0) if p.size):
            packet.pts = packet.dts = 40 * number
            packet.time_base, packet.stream = Fraction(1, 1000), stream
            copy.mux(packet)
    times = [frame.pts_seconds for frame in read(tmp_path / "wrong.mkv")]
    assert len(times) == 75
    assert {b - a for a, b in pairwise(times[5:-5])} == {Fraction(1, 25)}


@pytest.mark.parametrize("suffix", [".mkv", ".flv", ".nut", ".vob", ".ts"])
def test_recording_of_a_stream_begins_at_0_and_is_complete(tmp_path: Path, suffix: str) -> None:
    """Its clock may begin anywhere."""
    codec = "mpeg2video" if suffix == ".vob" else "libx264"
    recipe = Recipe(size=(96, 72), pts=range(90000, 90050), codec=codec)
    times = [frame.pts_seconds for frame in read(make_clip(tmp_path / f"in{suffix}", recipe))]
    assert times == [Fraction(n, 25) for n in range(50)]


def test_edit_list_of_two_parts_is_no_jump(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(pts=range(150), options={"g": "60", "bf": "2"}))
    _show_two_parts(source, Fraction(1), Fraction(4))
    times = [frame.pts_seconds for frame in read(source)]
    assert times == read_clip(source).times
    assert times[-1] < 2.1


def _show_two_parts(mp4: Path, *starts: Fraction) -> None:
    """Let the edit list of the only track show one second from each of the starts.

    The index is at the end of the file, so that no offset in it changes.
    """
    data = bytearray(mp4.read_bytes())
    at = data.index(b"elst") - 4
    size, count, begin = (struct.unpack_from(">I", data, at + n)[0] for n in (0, 12, 20))
    assert count == 1
    clock = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    ticks = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    parts = [struct.pack(">IiI", clock, begin + round(s * ticks), 0x10000) for s in starts]
    edits = struct.pack(">I4sII", 16 + 12 * len(parts), b"elst", 0, len(parts)) + b"".join(parts)
    data[at : at + size] = edits
    for box in (b"edts", b"trak", b"moov"):
        place = data.index(box) - 4
        old = struct.unpack_from(">I", data, place)[0]
        struct.pack_into(">I", data, place, old + len(edits) - size)
    for box, place in ((b"mvhd", 20), (b"tkhd", 24)):  # the length
        struct.pack_into(">I", data, data.index(box) + place, len(parts) * clock)
    mp4.write_bytes(data)
