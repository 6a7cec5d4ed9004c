"""A painted file keeps sound, subtitles, chapters, covers and metadata."""

import gc
import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from PIL import Image

from engines import Engine
from streamstyle import Clip, Region, VideoSettings, paint_video
from streamstyle.pipeline import Stats
from streamstyle.sources import SourceInfo, open_video
from tests.helpers.clips import Recipe, make_clip, read_clip


def test_sound_and_subtitles_are_copied_bit_by_bit(painted) -> None:
    recipe = Recipe(audio_seconds=(1.0, 1.0), subtitles=("Hello", "Hallo"))
    before, after, report = painted(recipe)
    assert len(before.packets) == 4
    assert after.packets == before.packets
    assert after.kinds == before.kinds
    assert report.notes == ()


def test_matroska_keeps_its_subtitles(painted) -> None:
    recipe = Recipe(audio_seconds=(1.0,), subtitles=("one", "two"), subtitle_codec="subrip")
    before, after, report = painted(recipe, ".mkv")
    assert after.packets == before.packets
    assert after.kinds == before.kinds
    assert report.notes == ()


def test_subtitles_that_a_container_cannot_hold_are_written_in_its_kind(painted) -> None:
    recipe = Recipe(subtitles=("Hello <i>you</i>",), subtitle_codec="subrip")
    _, after, report = painted(recipe, ".mkv", ".mp4")
    assert after.kinds == [("video", "h264", "fra"), ("subtitle", "mov_text", "eng")]
    assert Fraction(1, 5) in [time for time, _ in after.packets[1]]  # after an empty cue
    assert any("written as mov_text" in note for note in report.notes)


@pytest.mark.parametrize(
    ("codec", "suffix", "to"),
    [("mov_text", ".mp4", ".mp4"), ("subrip", ".mkv", ".mkv"), ("subrip", ".mkv", ".mp4")],
)
def test_subtitle_that_is_on_at_the_start_stays_as_long_as_it_would(
    painted, tmp_path: Path, codec: str, suffix: str, to: str
) -> None:
    recipe = Recipe(subtitles=("Hello",), subtitle_codec=codec)  # from 0.2 to 0.7 s
    painted(recipe, suffix, to, clip=Clip(start_seconds=Fraction(2, 5)))
    with av.open(tmp_path / f"out{to}") as file:
        cues = [
            (packet.pts * packet.time_base, packet.duration * packet.time_base)
            for packet in file.demux(subtitles=0)
            if b"Hello" in bytes(packet)
        ]
    assert cues == [(0, Fraction(3, 10))]


def test_sound_that_a_container_cannot_hold_is_encoded_anew(painted) -> None:
    recipe = Recipe(audio_seconds=(1.0,))
    _, after, report = painted(recipe, ".mp4", ".webm")
    assert after.kinds == [("video", "vp9", "fra"), ("audio", "opus", "eng")]
    assert after.packets[1][-1][0] > Fraction(9, 10)
    assert any("re-encoded as opus" in note for note in report.notes)


def test_nothing_is_left_out_in_silence(painted) -> None:
    recipe = Recipe(audio_seconds=(1.0,))
    _, after, report = painted(recipe, ".mp4", ".gif")
    assert [kind for kind, _, _ in after.kinds] == ["video"]
    assert any("audio track 1 (eng), aac, left out" in note for note in report.notes)


def test_chapters_and_metadata_stay(painted) -> None:
    metadata = {"title": "Sunday", "artist": "Ann Other", "comment": "zoo"}
    before, after, _ = painted(Recipe(chapters=True, metadata=metadata))
    assert [title for *_, title in before.chapters] == ["Part 0", "Part 1"]
    assert after.chapters == before.chapters
    assert {key: after.metadata[key] for key in metadata} == metadata


@pytest.mark.parametrize("seconds", [0.4, 1.6])
def test_sound_shorter_or_longer_than_the_picture(painted, seconds: float) -> None:
    before, after, _ = painted(Recipe(audio_seconds=(seconds,)))
    assert after.packets == before.packets
    assert len(after.times) == 25
    assert abs(after.duration - before.duration) < Fraction(1, 25)


def test_no_sound(painted) -> None:
    _, after, report = painted(Recipe())
    assert [kind for kind, _, _ in after.kinds] == ["video"]
    assert report.notes == ()


def test_picture_that_begins_later_than_the_sound(painted) -> None:
    recipe = Recipe(pts=range(10, 35), audio_seconds=(1.4,))
    before, after, _ = painted(recipe)
    assert before.times[0] == Fraction(10, 25)
    assert after.times == before.times
    assert after.packets == before.packets


def test_chapters_are_cut_with_the_video(painted) -> None:
    _, after, _ = painted(Recipe(chapters=True), clip=Clip(Fraction(2, 10), Fraction(4, 10)))
    assert after.chapters == [
        (Fraction(0), Fraction(2, 10), "Part 0"),
        (Fraction(2, 10), Fraction(4, 10), "Part 1"),
    ]


def test_cover_art_and_attached_fonts_stay(tmp_path: Path, inverter: Engine) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    _add_extras(make_clip(tmp_path / "plain.mkv"), source)
    report = paint_video(source, target, engine=inverter)
    assert report.notes == ()
    before, after = (_extras(path) for path in (source, target))
    assert len(before) == 2
    assert after == before
    paint_video(source, tmp_path / "out.mp4", engine=inverter)
    assert _extras(tmp_path / "out.mp4") == before[1:]
    paint_video(tmp_path / "out.mp4", tmp_path / "back.mkv", engine=inverter)
    assert _extras(tmp_path / "back.mkv") == before[1:]


def test_second_video_track_is_left_out_with_a_note(tmp_path: Path, inverter: Engine) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    plain = make_clip(tmp_path / "plain.mp4")
    with av.open(plain) as one, av.open(plain) as two, av.open(source, "w") as out:
        streams = [out.add_stream_from_template(file.streams.video[0]) for file in (one, two)]
        for file, stream in zip((one, two), streams, strict=True):
            for packet in file.demux():
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    report = paint_video(source, target, engine=inverter)
    assert [kind for kind, *_ in read_clip(target).kinds] == ["video"]
    assert any("one video track is painted" in note for note in report.notes)


@pytest.mark.slow
def test_sound_that_nobody_writes_is_not_kept(tmp_path: Path, inverter: Engine) -> None:
    recipe = Recipe(pts=range(100), audio_seconds=(60.0,))  # more than 2800 packets
    clip = make_clip(tmp_path / "in.ts", recipe)
    held = []

    def count(_info: SourceInfo, _stats: Stats) -> None:
        held.append(sum(type(thing) is av.Packet for thing in gc.get_objects()))

    with open_video(str(clip)) as video:
        for _ in video:
            pass
        count(video.info, Stats())
    paint_video(clip, f"{tmp_path}/frames/", engine=inverter, on_progress=count)
    mask = Region(str(clip))
    paint_video(
        clip,
        f"{tmp_path}/masked/",
        engine=inverter,
        on_progress=count,
        settings=VideoSettings(region=mask),
    )
    assert max(held) < 100


def _add_extras(plain: Path, path: Path) -> None:
    with av.open(plain) as file, av.open(path, "w") as out:
        stream = out.add_stream_from_template(file.streams.video[0])
        out.add_attachment("letters.ttf", "application/x-truetype-font", b"not really a font")
        cover = io.BytesIO()
        Image.new("RGB", (32, 32), "red").save(cover, "JPEG")
        out.add_attachment("cover.jpg", "image/jpeg", cover.getvalue())
        for packet in file.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)


def _extras(path: Path) -> list[tuple[str | None, bytes]]:
    """Return attached files and covers; FFmpeg shows a cover as a video track of one packet."""
    with av.open(path) as file:
        attached = [(s.mimetype, s.data) for s in file.streams if s.type == "attachment"]
        covers = [s for s in file.streams.video if s.disposition & Disposition.attached_pic]
        return attached + [(s.codec.name, bytes(next(file.demux(s)))) for s in covers]
