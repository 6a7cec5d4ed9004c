"""Timecodes count as SMPTE ST 12-1 says."""

from fractions import Fraction

import pytest

from streamstyle.media.timecode import later

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("before", "frames", "rate", "after"),
    [
        ("01:02:03:04", 25, Fraction(25), "01:02:04:04"),
        ("00:59:59:24", 1, Fraction(25), "01:00:00:00"),
        ("23:59:59:23", 1, Fraction(24), "00:00:00:00"),
        ("10:00:00:00", 30, NTSC, "10:00:01:00"),
        # Drop-frame: minutes begin with frame 2, except every tenth.
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:10:59.29", 1, NTSC, "00:11:00.02"),
        ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
        ("00:00:00;00", 17982 * 6, NTSC, "01:00:00;00"),
        ("23:59:59;29", 1, NTSC, "00:00:00;00"),
        ("00:00:59;59", 1, 2 * NTSC, "00:01:00;04"),
        # It is no timecode, or nothing says how many frames a second has.
        ("reel 7", 25, Fraction(25), "reel 7"),
        ("01:02:03:04", 25, Fraction(1, 10), "01:02:03:04"),
    ],
)
def test_later(before: str, frames: int, rate: Fraction, after: str) -> None:
    assert later(before, frames, rate) == after


def test_an_hour_of_drop_frame_has_every_number_once() -> None:
    numbers = [later("00:00:00;00", frame, NTSC) for frame in range(17982 * 6)]
    assert len(set(numbers)) == len(numbers)
    assert not [n for n in numbers if n[6:] in ("00;00", "00;01") and n[4] != "0"]
