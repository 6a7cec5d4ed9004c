"""Choose the encoder for a video file, and its options."""

from collections.abc import Callable
from dataclasses import dataclass

import av
from av.codec.context import CodecOption

from streamstyle.errors import UserError

ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "gif": "gif",
}
"""FFmpeg's encoder by codec. Any other name is taken as the name of an FFmpeg encoder."""

DEFAULT_CODECS = {
    ".mp4": "h264",
    ".m4v": "h264",
    ".mov": "h264",
    ".mkv": "h264",
    ".webm": "vp9",
    ".ts": "h264",
    ".gif": "gif",
}
"""Default codec by file suffix.

These containers keep exact timestamps (a GIF to hundredths of a second).
"""

_DEFAULT_OPTIONS: dict[str, dict[str, str]] = {
    # Painted pictures are full of texture: CRF 18 keeps brush strokes. At the same quality,
    # superfast takes 3 to 6 % more bytes than veryfast and half of its time; ultrafast takes 20 to
    # 50 % more bytes and a fifth of the time.
    "libx264": {"crf": "18", "preset": "superfast"},
    "libx265": {"crf": "20", "preset": "superfast", "a53cc": "1"},
    "libvpx-vp9": {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    "libsvtav1": {"crf": "28", "preset": "10"},
}


def _nvenc(crf: int) -> dict[str, str]:
    return {"rc": "vbr", "cq": f"{max(1, crf)}"}  # with 0, the encoder would choose


def _qsv(crf: int) -> dict[str, str]:
    return {"global_quality": f"{max(1, crf)}"}  # 0 would set no quality


def _amf(crf: int) -> dict[str, str]:
    return {"rc": "cqp", "qp_i": f"{crf}", "qp_p": f"{crf}"}


def _videotoolbox(crf: int) -> dict[str, str]:
    """Convert a CRF to a quality from 1 to 100 (the best).

    FFmpeg takes the quality as a quantizer, times 118.
    """
    quality = max(1, round(100 - crf * 100 / 51))
    return {"flags": "+qscale", "global_quality": f"{quality * 118}"}


_HARDWARE: dict[str, Callable[[int], dict[str, str]]] = {
    "h264_nvenc": _nvenc,
    "hevc_nvenc": _nvenc,
    "av1_nvenc": _nvenc,
    "h264_qsv": _qsv,
    "hevc_qsv": _qsv,
    "av1_qsv": _qsv,
    "h264_amf": _amf,
    "hevc_amf": _amf,
    "h264_videotoolbox": _videotoolbox,
    "hevc_videotoolbox": _videotoolbox,
}
"""For each graphics card encoder, a function from a constant rate factor (CRF) to its own options.

The CRF is on the scale of the software encoder for the same codec. Without such options, a graphics
card encoder keeps to a bit rate, whatever the picture.
"""

_MAX_CRF = {"h264": 51, "hevc": 51, "av1": 63}

_ODD_420 = ("libvpx-vp9",)
"""Encoders that accept odd sizes with 4:2:0 color sampling."""


@dataclass(frozen=True)
class Encoding:
    """How to encode a video."""

    codec: str | None = None
    """Key of ENCODERS or name of an FFmpeg encoder; None for the container's default codec.

    If a graphics card encoder does not start on this machine, the CPU encoder for the same codec is
    used with its own default preset, and the sink's notes say so.
    """
    crf: int | None = None
    """Constant rate factor or the closest equivalent; smaller is better. None for our default."""
    preset: str | None = None
    """Speed preset, by the encoder's own name for it; None for our default."""

    def encoder(self, suffix: str) -> str:
        """Return FFmpeg's name of the encoder for a file whose name ends in `suffix`."""
        codec = self.codec or DEFAULT_CODECS[suffix]
        return ENCODERS.get(codec, codec)

    def options(self, encoder: str) -> dict[str, str]:
        """Return the options for `encoder`.

        Raises UserError if the encoder is unknown or lacks an option that was asked for. For the
        encoders in `_HARDWARE`, it also raises UserError for a wrong value: if one of them does not
        start afterwards, the machine is the cause.
        """
        try:
            context = av.CodecContext.create(encoder, "w")
        except ValueError as error:
            raise UserError(
                f"no codec {encoder}: give {', '.join(ENCODERS)} or the name of an FFmpeg encoder"
            ) from error
        options = dict(_DEFAULT_OPTIONS.get(encoder, {}))
        software = software_of(encoder)
        if software is not None:
            options["crf"] = _DEFAULT_OPTIONS[software]["crf"]
        known = {option.name: option for option in context.supported_options.private}
        for name, value in (("crf", self.crf), ("preset", self.preset)):
            if value is None:
                continue
            if name not in known and name not in options:
                raise UserError(f"the encoder {encoder} has no --{name}")
            options[name] = str(value)
        if software is not None:
            if self.preset is not None:
                _check_preset(encoder, self.preset, known["preset"])
            options |= _HARDWARE[encoder](_checked_crf(encoder, int(options.pop("crf"))))
        return options


def software_of(encoder: str) -> str | None:
    """Return the CPU encoder for the codec of a graphics card encoder; None for other encoders."""
    return ENCODERS[av.Codec(encoder, "w").canonical_name] if encoder in _HARDWARE else None


def _check_preset(encoder: str, preset: str, option: CodecOption) -> None:
    presets = [choice.name for choice in option.choices]
    if preset not in presets:
        raise UserError(
            f"the encoder {encoder} has no preset {preset}; choose from {', '.join(presets)}"
        )


def _checked_crf(encoder: str, crf: int) -> int:
    largest = _MAX_CRF[av.Codec(encoder, "w").canonical_name]
    if not 0 <= crf <= largest:
        raise UserError(f"--crf of {encoder} must be from 0 to {largest}, got {crf}")
    return crf


def pixel_format(encoder: str, chroma: str, width: int, height: int) -> str:
    """Return a pixel format of `encoder` that holds the exact size.

    The format has the source's `chroma` ("420", "422" or "444") if the encoder offers it. Raises
    UserError if the encoder has no format for this size.
    """
    available = [f.name for f in av.Codec(encoder, "w").video_formats or ()]
    if "pal8" in available:
        return "pal8"
    wanted = [f"yuv{chroma}p", "yuv420p", "nv12", "yuv444p"]
    if encoder not in _ODD_420:
        # Half of an odd number of pixels is not a whole number of color samples.
        if width % 2:
            wanted = ["yuv444p"]
        elif height % 2 and chroma == "420":
            wanted = ["yuv422p", "yuv444p"]
    for name in wanted:
        if name in available:
            return name
    raise UserError(
        f"the encoder {encoder} has no pixel format for {width}x{height}; try --codec h264 or vp9"
    )
