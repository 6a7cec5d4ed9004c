"""Data that decoders attach to pictures, such as closed captions."""

from fractions import Fraction

import av
from av.sidedata.sidedata import Type
from av.video.frame import PictureType

from streamstyle.media.side_data import side_data

_OF_NO_USE = {
    # The picture is painted upright.
    Type.DISPLAYMATRIX,
    # FFmpeg adds both to every MPEG-2 picture.
    Type.PANSCAN, Type.GOP_TIMECODE,
    # They describe a high dynamic range, which ends with tone mapping.
    Type.AMBIENT_VIEWING_ENVIRONMENT, Type.CONTENT_LIGHT_LEVEL, Type.DOVI_METADATA,
    Type.DOVI_RPU_BUFFER, Type.DYNAMIC_HDR_PLUS, Type.DYNAMIC_HDR_VIVID,
    Type.MASTERING_DISPLAY_METADATA,
    # They describe the old encoding.
    Type.DETECTION_BBOXES, Type.FILM_GRAIN_PARAMS, Type.MOTION_VECTORS,
    Type.REGIONS_OF_INTEREST, Type.VIDEO_ENC_PARAMS, Type.VIDEO_HINT,
}  # fmt: skip

_WORDS = {
    "A53_CC": "closed captions",
    "AFD": "the active format description",
    "EXIF": "the EXIF data of the pictures",
    "ICC_PROFILE": "the color profile",
    "S12M_TIMECODE": "the timecode in the pictures",
    "SEI_UNREGISTERED": "the data that the camera stored in each picture",
    "SPHERICAL": "the mark of a 360° video",
    "STEREO3D": "the mark of a 3D video",
}

_CARRIER_SIZE = 16


class PictureData:
    """Kinds of data in the pictures of one input, and its captions on their way to the sink."""

    def __init__(self) -> None:
        self.first_seen: dict[str, Fraction] = {}
        """Time in seconds of the first picture with each kind of data."""
        self._carriers: dict[Fraction, av.VideoFrame] = {}

    def see(self, frame: av.VideoFrame, seconds: Fraction) -> None:
        """Take the data of a decoded frame that will be shown at `seconds`."""
        for kind in _kinds(frame):
            self.first_seen.setdefault(kind, seconds)
            if kind == Type.A53_CC.name:
                # Side data can't be made in Python, but a scaled frame keeps it.
                self._carriers[seconds] = frame.reformat(_CARRIER_SIZE, _CARRIER_SIZE, "gray")

    def put(self, picture: av.VideoFrame, seconds: Fraction) -> av.VideoFrame:
        """Return `picture` with the captions for this time, if there are any."""
        carrier = self._carriers.pop(seconds, None)
        if carrier is None or picture.format.name == "pal8":
            return picture
        captioned = carrier.reformat(picture.width, picture.height, picture.format.name)
        for target, source in zip(captioned.planes, picture.planes, strict=True):
            target.update(bytes(source))
        captioned.colorspace, captioned.color_range = picture.colorspace, picture.color_range
        captioned.pict_type = PictureType.NONE  # else the encoder repeats the old key frames
        return captioned


def in_words(kind: str) -> str:
    """Return the name of a kind of data for the user."""
    if kind.startswith("TYPE_"):
        return "other data in the pictures"
    return _WORDS.get(kind, kind.lower().replace("_", " "))


def _kinds(frame: av.VideoFrame) -> set[str]:
    """Return the kinds of data of a frame that mean something to who watches it."""
    data = side_data(frame)
    if frame.key_frame:
        data.pop(Type.SEI_UNREGISTERED, None)  # encoders put their settings there
    if not any(data.get(Type.STEREO3D, b"")[:4]):
        data.pop(Type.STEREO3D, None)  # AV_STEREO3D_2D: a flat picture
    return {kind.name for kind in data.keys() - _OF_NO_USE}
