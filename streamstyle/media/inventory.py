"""Compare what FFmpeg reports of an input with what arrived in the new file.

Pictures, sound and subtitles are handled where they are written. This module is about all that
lies beside them: tags, chapters, attachments, covers, and data in the pictures, such as captions.
"""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.stream import AttachmentStream, Disposition, Stream

from streamstyle.media.picture_data import PictureData, in_words
from streamstyle.media.tags import file_tags, track_tags

if TYPE_CHECKING:
    from av.container.core import Chapter

_SAYS_LITTLE = {
    "handler_name",  # almost every program only names itself there
    "stereo_mode",  # the pictures' data says the same
}
"""Tags of tracks that are copied, but are no loss."""

_STRUCTURE = Disposition.default | Disposition.attached_pic
"""Purposes of a track that say nothing about its contents."""


@dataclass(frozen=True)
class Fact:
    """One thing that FFmpeg reports of a file."""

    kind: str
    """One of the kinds in `_IN_WORDS`."""
    name: str
    """What tells it from others of its kind, also after a change of container."""
    shown: str
    """Its name for the user."""


class Inventory:
    """What FFmpeg reports of one file beside pictures, sound and subtitles."""

    def __init__(self, container: InputContainer) -> None:
        """Begin with the tags of the file; tracks and chapters are added."""
        self._tags = file_tags(container)
        self._facts = {Fact("tag", key.lower(), key) for key in self._tags}
        self._covers = 0

    def add_chapters(self, chapters: Iterable[Chapter]) -> None:
        for number, chapter in enumerate(chapters, 1):
            title = chapter["metadata"].get("title", str(number))
            self._facts.add(Fact("chapter", title, title))

    def add_track(self, stream: Stream) -> None:
        """Add a track and what is said about it."""
        if isinstance(stream, AttachmentStream):
            name = stream.name or "attachment"
            self._facts.add(Fact("attachment", name, name))
            return
        if stream.disposition & Disposition.attached_pic:
            self._covers += 1
            self._facts.add(Fact("cover", str(self._covers), str(self._covers)))
            return
        for purpose in stream.disposition & ~_STRUCTURE:
            name = purpose.name or str(purpose)
            self._facts.add(Fact("purpose", name, name.replace("_", " ")))
        says_little = _SAYS_LITTLE | ({"language"} if stream.type == "video" else set())
        for key, value in track_tags(stream.metadata).items():
            if key.lower() not in says_little and value not in ("und", *self._tags.values()):
                self._facts.add(Fact("track tag", _track_name(key, value), f"{key} {value}"))

    def compare(self, url: str, pictures: PictureData) -> list[str]:
        """Return notes on what did not arrive in a new file.

        Args:
            url: What FFmpeg opens: the new file, complete.
            pictures: What the pictures of this one had.
        """
        with av.open(url, metadata_errors="replace") as container:
            new = Inventory(container)
            new.add_chapters(container.chapters())
            for stream in container.streams:
                new.add_track(stream)
            arrived = _picture_data(container, pictures.first_seen.values())
        kept = {(fact.kind, fact.name) for fact in new._facts}
        # What one container says of the file, another says of a track, as with timecodes.
        kept |= {("track tag", _track_name(key, value)) for key, value in new._tags.items()}
        kept |= {
            ("tag", key.lower())
            for key, value in self._tags.items()
            if ("track tag", _track_name(key, value)) in kept
        }
        lost = [fact for fact in self._facts if (fact.kind, fact.name) not in kept]
        for kind in pictures.first_seen.keys() - arrived:
            lost.append(Fact("picture", kind, in_words(kind)))
        if not lost:
            return []
        parts = []
        for kind, words in _IN_WORDS.items():
            names = sorted(fact.shown for fact in lost if fact.kind == kind)
            if names:
                parts.append(words(names))
        advice = ""
        if not url.endswith(".mkv") and any(fact.kind in _KEPT_BY_MATROSKA for fact in lost):
            advice = "; .mkv keeps tags, chapters, covers and attachments"
        return [f"not kept: {'; '.join(parts)}{advice}"]


def _picture_data(container: InputContainer, times: Iterable[Fraction]) -> set[str]:
    """Return the kinds of data in the pictures of a new file, up to each of the `times`."""
    arrived = PictureData()
    start = Fraction(container.start_time or 0, av.time_base)
    for seconds in sorted(set(times)):
        with suppress(av.FFmpegError):
            container.seek(int((start + seconds) * av.time_base))
            for frame in container.decode(video=0):
                arrived.see(frame, seconds)
                if frame.time is None or frame.time >= start + seconds:
                    break
    return set(arrived.first_seen)


def _track_name(key: str, value: str) -> str:
    """Return what tells a tag of a track from others, also in another container.

    That is its value, for the key depends on the container. A cut changes the value of a timecode.
    """
    return "timecode" if key.lower() == "timecode" else value


def _several(one: str) -> Callable[[list[str]], str]:
    """Return a function that names things of a kind, such as "tags artist, title"."""
    return lambda names: f"{one}{'s' * (len(names) > 1)} {', '.join(names)}"


_IN_WORDS: dict[str, Callable[[list[str]], str]] = {
    "tag": _several("tag"),
    "track tag": _several("track tag"),
    "purpose": lambda names: f"the purpose of tracks ({', '.join(names)})",
    "chapter": lambda names: f"{len(names)} chapter{'s' * (len(names) > 1)}",
    "attachment": _several("attachment"),
    "cover": lambda _names: "the cover picture",
    "picture": lambda names: ", ".join(names),
}
"""For each kind of fact, a function from names to a part of a sentence."""

_KEPT_BY_MATROSKA = {"tag", "track tag", "purpose", "chapter", "attachment", "cover"}
