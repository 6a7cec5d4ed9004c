"""Which encoder writes a video, and with what."""

from dataclasses import dataclass

import av

from streamstyle.errors import UserError

ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "gif": "gif",
}
"""By codec. Any other name is taken as one of FFmpeg's encoders."""

DEFAULT_CODECS = {
    ".mp4": "h264",
    ".m4v": "h264",
    ".mov": "h264",
    ".mkv": "h264",
    ".webm": "vp9",
    ".ts": "h264",
    ".gif": "gif",
}
"""By suffix: the containers that keep exact timestamps (a GIF to its hundredths of a second)."""

_DEFAULT_OPTIONS: dict[str, dict[str, str]] = {
    # Painted pictures are all texture: 18 keeps brush strokes, veryfast keeps up with the engine.
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libx265": {"crf": "20", "preset": "superfast"},
    "libvpx-vp9": {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    "libsvtav1": {"crf": "28", "preset": "10"},
}

_ODD_420 = ("libvpx-vp9",)
"""Encoders that take odd sizes where color is sampled at every second pixel."""


@dataclass(frozen=True)
class Encoding:
    """How to write the picture."""

    codec: str | None = None
    """A key of ENCODERS or the name of an encoder of FFmpeg; None for the container's usual one."""
    crf: int | None = None
    """Constant rate factor, smaller is better; None for ours."""
    preset: str | None = None
    """The encoder's own word for fast or thorough; None for ours."""

    def encoder(self, suffix: str) -> str:
        """FFmpeg's name of the encoder for a file whose name ends in `suffix`."""
        codec = self.codec or DEFAULT_CODECS[suffix]
        return ENCODERS.get(codec, codec)

    def options(self, encoder: str) -> dict[str, str]:
        """The encoder's options. Raises UserError where it is unknown or does not have one."""
        try:
            context = av.CodecContext.create(encoder, "w")
        except ValueError as error:
            raise UserError(
                f"no codec {encoder}: give {', '.join(ENCODERS)} or an encoder of FFmpeg's"
            ) from error
        options = dict(_DEFAULT_OPTIONS.get(encoder, {}))
        known = {option.name for option in context.supported_options.private}
        for name, value in (("crf", self.crf), ("preset", self.preset)):
            if value is None:
                continue
            if name not in known:
                raise UserError(f"the encoder {encoder} has no --{name}")
            options[name] = str(value)
        return options


def pixel_format(encoder: str, chroma: str, width: int, height: int) -> str:
    """The format with the source's `chroma` ("420", "422", "444") where the encoder has it, and
    in any case one that holds the exact size. Raises UserError where there is none."""
    available = [f.name for f in av.Codec(encoder, "w").video_formats or ()]
    if "pal8" in available:
        return "pal8"
    wanted = [f"yuv{chroma}p", "yuv420p", "yuv444p"]
    if encoder not in _ODD_420:
        # Half of an odd number is no number of color samples.
        if width % 2:
            wanted = ["yuv444p"]
        elif height % 2 and chroma == "420":
            wanted = ["yuv422p", "yuv444p"]
    for name in wanted:
        if name in available:
            return name
    raise UserError(
        f"the encoder {encoder} can't hold {width}x{height} in any way we know; "
        "try --codec h264 or vp9"
    )
