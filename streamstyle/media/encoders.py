"""Which encoder writes a video, and with what."""

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
    # Painted pictures are all texture: 18 keeps brush strokes. For the same quality superfast takes
    # 3 to 6 % more bytes than veryfast and half of its time, ultrafast 20 to 50 % and a fifth.
    "libx264": {"crf": "18", "preset": "superfast"},
    "libx265": {"crf": "20", "preset": "superfast"},
    "libvpx-vp9": {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    "libsvtav1": {"crf": "28", "preset": "10"},
}


def _nvenc(crf: int) -> dict[str, str]:
    return {"rc": "vbr", "cq": f"{max(1, crf)}"}  # 0 would leave it to the encoder


def _qsv(crf: int) -> dict[str, str]:
    return {"global_quality": f"{max(1, crf)}"}  # 0 would be none


def _amf(crf: int) -> dict[str, str]:
    return {"rc": "cqp", "qp_i": f"{crf}", "qp_p": f"{crf}"}


def _videotoolbox(crf: int) -> dict[str, str]:
    """Its quality goes from 1 to 100, the best; FFmpeg wants it times 118, as a quantiser."""
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
"""What each encoder of a graphics card has for the constant rate factor of its codec's software.
Left alone, they keep to a bit rate whatever the picture."""

_MAX_CRF = {"h264": 51, "hevc": 51, "av1": 63}

_ODD_420 = ("libvpx-vp9",)
"""Encoders that take odd sizes where color is sampled at every second pixel."""


@dataclass(frozen=True)
class Encoding:
    """How to write the picture."""

    codec: str | None = None
    """A key of ENCODERS or the name of an encoder of FFmpeg; None for the container's usual one. If
    it is of a graphics card and does not start here, the processor's of the same codec writes, with
    its own preset, and the sink's notes say so."""
    crf: int | None = None
    """Constant rate factor, smaller is better, or what comes closest to it; None for ours."""
    preset: str | None = None
    """The encoder's own word for fast or thorough; None for ours."""

    def encoder(self, suffix: str) -> str:
        """FFmpeg's name of the encoder for a file whose name ends in `suffix`."""
        codec = self.codec or DEFAULT_CODECS[suffix]
        return ENCODERS.get(codec, codec)

    def options(self, encoder: str) -> dict[str, str]:
        """The encoder's options. Raises UserError where it is unknown or does not have one; and for
        one of `_HARDWARE` if a value is wrong, as not to start is then the machine's fault.
        """
        try:
            context = av.CodecContext.create(encoder, "w")
        except ValueError as error:
            raise UserError(
                f"no codec {encoder}: give {', '.join(ENCODERS)} or an encoder of FFmpeg's"
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
    """The encoder on the processor for the codec of one of `_HARDWARE`; None for any other."""
    return ENCODERS[av.Codec(encoder, "w").canonical_name] if encoder in _HARDWARE else None


def _check_preset(encoder: str, preset: str, option: CodecOption) -> None:
    presets = [choice.name for choice in option.choices]
    if preset not in presets:
        raise UserError(
            f"the encoder {encoder} has no preset {preset}; there is {', '.join(presets)}"
        )


def _checked_crf(encoder: str, crf: int) -> int:
    largest = _MAX_CRF[av.Codec(encoder, "w").canonical_name]
    if not 0 <= crf <= largest:
        raise UserError(f"--crf of {encoder} is from 0 to {largest}, got {crf}")
    return crf


def pixel_format(encoder: str, chroma: str, width: int, height: int) -> str:
    """The format with the source's `chroma` ("420", "422", "444") where the encoder has it, and
    in any case one that holds the exact size. Raises UserError where there is none.
    """
    available = [f.name for f in av.Codec(encoder, "w").video_formats or ()]
    if "pal8" in available:
        return "pal8"
    wanted = [f"yuv{chroma}p", "yuv420p", "nv12", "yuv444p"]
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
