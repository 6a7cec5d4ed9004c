"""Timecodes of the form hours:minutes:seconds:frames, as SMPTE ST 12-1 defines them."""

import re
from fractions import Fraction

_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def later(timecode: str, frames: int, rate: Fraction) -> str:
    """Return the timecode `frames` frames later; text that is no timecode as it is.

    Args:
        timecode: The first frame's timecode. A ";" or "." before the frames means drop-frame, in
            which 29.97 frames per second count to 30 and leave out numbers.
        frames: Frames to add.
        rate: Frames per second.
    """
    match = _TIMECODE.fullmatch(timecode)
    counted = round(rate)
    if match is None or counted < 1:
        return timecode
    hours, minutes, seconds, frame = (int(match[group]) for group in (1, 2, 3, 5))
    # Two numbers of each minute are left out, but not in every tenth; at 59.94, four.
    left_out = counted // 15 if match[4] != ":" and counted % 30 == 0 else 0
    minutes += 60 * hours
    number = (60 * minutes + seconds) * counted + frame
    number += frames - left_out * (minutes - minutes // 10)
    in_ten_minutes = 600 * counted - 9 * left_out
    tens, rest = divmod(number % (144 * in_ten_minutes), in_ten_minutes)
    number = 600 * counted * tens + rest
    if rest >= left_out:
        number += left_out * ((rest - left_out) // (60 * counted - left_out))
    minutes, rest = divmod(number, 60 * counted)
    seconds, frame = divmod(rest, counted)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{match[4]}{frame:02}"
