"""All that FFmpeg reports of a file is kept, or a note says that it is not."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from engines import Engine
from streamstyle import Clip, VideoSettings, paint_video
from tests.helpers.extras import make_rich, write_picture

OF_THE_OLD_FILE = {
    "alpha_mode", "compatible_brands", "duration", "encoder", "handler_name", "major_brand",
    "minor_version", "vendor_id",
}  # fmt: skip
"""Tags about the old file, its encoding and its writer, which a new file has of its own."""

SUFFIXES = [".mp4", ".mov", ".mkv", ".webm", ".ts", ".gif"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "webm", "ts"])
def test_nothing_is_lost_in_silence(
    tmp_path: Path, inverter: Engine, kind: str, suffix: str
) -> None:
    source, target = tmp_path / f"in.{kind}", tmp_path / f"out{suffix}"
    make_rich(source)
    report = paint_video(source, target, engine=inverter)
    reported, arrived = dict(_reported(source)), dict(_reported(target))
    notes = " ".join(report.notes).casefold()
    assert len(reported) > 3
    lost = [
        fact
        for fact, track in reported.items()
        if fact not in arrived
        and fact not in notes
        and not (track and f"{track}, left out" in notes)
    ]
    assert lost == []
    assert sum(note.startswith("not kept") for note in report.notes) <= 1


def test_matroska_keeps_all(tmp_path: Path, inverter: Engine) -> None:
    source = make_rich(tmp_path / "in.mkv")
    report = paint_video(source, tmp_path / "out.mkv", engine=inverter)
    assert report.notes == ()


def test_tags_of_ogg_become_those_of_the_file(tmp_path: Path, inverter: Engine) -> None:
    source, target = make_rich(tmp_path / "in.ogv"), tmp_path / "out.mp4"
    paint_video(source, target, engine=inverter)
    with av.open(target) as file:
        assert file.metadata["artist"] == "Somebody"


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_tags_of_a_camera_stay(tmp_path: Path, inverter: Engine, suffix: str) -> None:
    tags = {
        "com.apple.quicktime.location.ISO6709": "+48.8577+002.295/",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.creationdate": "2024-05-06T09:08:09+0200",
    }
    camera, target = tmp_path / "camera.mov", tmp_path / f"out{suffix}"
    with av.open(camera, "w", container_options={"movflags": "use_metadata_tags"}) as file:
        file.metadata.update(tags)
        write_picture(file, ["mpeg4"])
    report = paint_video(camera, target, engine=inverter)
    with av.open(target) as file:
        assert {key: file.metadata.get(key) for key in tags} == tags
    assert report.notes == ()


@pytest.mark.parametrize(
    ("start", "timecode"), [(None, "01:02:03:04"), ("1/2", "01:02:03:17"), ("12/25", "01:02:03:16")]
)
@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_timecode_is_that_of_the_first_picture(
    tmp_path: Path, inverter: Engine, suffix: str, start: str | None, timecode: str
) -> None:
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    with av.open(source, "w") as file:
        write_picture(file, ["mpeg4"], {"timecode": "01:02:03:04"})
    clip = Clip(start_seconds=None if start is None else Fraction(start))
    report = paint_video(source, target, engine=inverter, settings=VideoSettings(clip=clip))
    with av.open(target) as file:
        tags = {key.lower(): value for key, value in file.streams.video[0].metadata.items()}
    assert tags["timecode"] == timecode
    assert report.notes == ()


def _reported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what FFmpeg reports of a file, in the words of a note, and of which track."""
    with av.open(path) as file:
        for key in file.metadata:
            if key.lower() not in OF_THE_OLD_FILE:
                yield key.lower(), ""
        if file.chapters():
            yield f"{len(file.chapters())} chapters", ""
        for stream in file.streams:
            if stream.type == "attachment":
                yield stream.name, ""
            elif stream.disposition & Disposition.attached_pic:
                yield "cover picture", ""
            elif stream.type == "data":
                if stream.name == "klv":  # not MP4's chapters
                    yield stream.name, ""
            else:
                codec = stream.codec_context.codec.canonical_name
                language = f" ({stream.language})" if stream.language not in (None, "und") else ""
                track = f"{stream.type} track {stream.index}{language}, {codec}"
                yield stream.type, track
                for key, value in stream.metadata.items():
                    # MP4 repeats the file's time of creation; a picture has no language.
                    known = {"creation_time", "language" if stream.type == "video" else ""}
                    if key.lower() not in OF_THE_OLD_FILE | known and value != "und":
                        yield value.lower(), track
                for purpose in stream.disposition & ~Disposition.default:
                    yield purpose.name.replace("_", " "), track
