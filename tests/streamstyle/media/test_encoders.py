"""Options of encoders."""

import av
import numpy as np
import pytest

from streamstyle import Encoding, UserError
from streamstyle.media.color import BT709 as COLOR
from streamstyle.media.color import Converter
from streamstyle.media.encoders import pixel_format
from tests.helpers.clips import gradient, needs_encoder


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        pytest.param(codec, options, marks=needs_encoder(codec))
        for codec, options in {
            "h264_nvenc": {"rc": "vbr", "cq": "30"},
            "hevc_nvenc": {"rc": "vbr", "cq": "30"},
            "av1_nvenc": {"rc": "vbr", "cq": "30"},
            "h264_qsv": {"global_quality": "30"},
            "hevc_amf": {"rc": "cqp", "qp_i": "30", "qp_p": "30"},
            "h264_videotoolbox": {"flags": "+qscale", "global_quality": str(41 * 118)},
        }.items()
    ],
)
def test_quality_in_each_encoders_words(codec: str, options: dict[str, str]) -> None:
    assert Encoding(codec, crf=30).options(codec) == options
    context = av.CodecContext.create(codec, "w").supported_options
    assert options.keys() <= {o.name for o in (*context.generic, *context.private)}


@needs_encoder("h264_nvenc")
def test_best_and_usual_quality_and_preset() -> None:
    # To NVENC, 0 means that no quality is requested.
    assert Encoding("h264_nvenc", crf=0).options("h264_nvenc")["cq"] == "1"
    assert Encoding("h264_nvenc").options("h264_nvenc")["cq"] == "18"
    assert Encoding("hevc_nvenc").options("hevc_nvenc")["cq"] == "20"
    assert Encoding("h264_nvenc", preset="p6").options("h264_nvenc")["preset"] == "p6"


@needs_encoder("h264_nvenc")
@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        (Encoding("h264_nvenc", preset="veryfast"), "h264_nvenc has no preset veryfast.*p1, p2"),
        (Encoding("h264_nvenc", crf=52), "--crf of h264_nvenc must be from 0 to 51, got 52"),
        (Encoding("av1_nvenc", crf=64), "from 0 to 63, got 64"),
    ],
)
def test_wrong_values_are_no_reason_to_fall_back(encoding: Encoding, words: str) -> None:
    assert encoding.codec is not None
    with pytest.raises(UserError, match=words):
        encoding.options(encoding.codec)


@needs_encoder("h264_qsv")
def test_encoder_that_takes_no_planes() -> None:
    assert pixel_format("h264_qsv", "420", 64, 48) == "nv12"
    assert pixel_format("h264_nvenc", "444", 64, 48) == "yuv444p"
    assert pixel_format("h264_nvenc", "420", 64, 48) == "yuv420p"
    picture = gradient().to_ndarray()
    planar, paired = (Converter().from_rgb(picture, COLOR, f) for f in ("yuv420p", "nv12"))
    assert np.array_equal(planar.reformat(format="nv12").to_ndarray(), paired.to_ndarray())
