"""Side data of frames, also of types that PyAV does not know."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

from collections.abc import Iterable
from typing import cast

import av
from av.sidedata.sidedata import SideData, Type

_NEWER = {28: "LCEVC", 29: "VIEW_ID", 30: "REFERENCE_DISPLAYS", 31: "EXIF"}
"""AVFrameSideDataType of FFmpeg 8."""


def side_data(frame: av.VideoFrame) -> dict[Type, bytes]:
    """Return the side data of a decoded frame by its type."""
    # PyAV's annotation says that these are motion vectors.
    entries = cast("Iterable[SideData]", frame.side_data)
    return {entry.type: bytes(entry) for entry in entries}


def _unknown(kind: type[Type], number: int) -> Type:
    member = object.__new__(kind)
    member._name_ = _NEWER.get(number, f"TYPE_{number}")
    member._value_ = number  # type: ignore[assignment]  # PyAV's annotations take it for a Type
    return member


# Without it, one entry of a type that PyAV does not know makes all of a frame's data unreadable.
Type._missing_ = classmethod(_unknown)  # type: ignore[assignment, method-assign]
