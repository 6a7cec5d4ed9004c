"""Refuse files that are encrypted: without their key, what is decoded is noise."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

import av
from av.stream import Stream

from streamstyle.errors import UserError

_PROTECTED = ("drmi", "drms", "enca", "encv")
"""Codec tags of MP4 for encrypted tracks."""

_KEY_OF_MATROSKA = "enc_key_id"


def refuse_protected(packet: av.Packet[Stream], name: str) -> None:
    """Raise UserError if a packet of the input `name` is encrypted."""
    context = packet.stream.codec_context
    if (
        packet.has_sidedata("encryption_info")
        or _KEY_OF_MATROSKA in packet.stream.metadata
        or (context is not None and _tag_of(context) in _PROTECTED)
    ):
        raise UserError(
            f"{name} is protected (DRM) and can't be decoded without its key; paint a copy that "
            "is not protected"
        )


def _tag_of(context: av.CodecContext) -> str:
    try:
        return context.codec_tag
    except UnicodeDecodeError:  # NUT has tags of its own that are no text
        return ""
