"""Contact sheets: pictures down, styles across, in as many blocks as the styles need."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from streamstyle.frame import Frame, Image
from streamstyle.image_ops import resized
from streamstyle.painting.look import Look
from streamstyle.painting.painter import Painter
from streamstyle.sinks.atomic_file import check_not_input, check_target
from streamstyle.sinks.images import check_suffix, write_image
from streamstyle.sources import Clip, StillSource, open_video
from streamstyle.sources.images import read_still
from streamstyle.sources.pattern import PREFIX
from streamstyle.styles import DEFAULT_STYLE, open_engine, parse_style, styles_beside

TILE_WIDTH = 320  # pixels
ACROSS = 8  # styles
PAINTED_WIDTH = 2 * TILE_WIDTH  # pixels, for the network: about the width of a video
CAPTION_HEIGHT = 36  # pixels
PATTERN_FRAME = 120  # the frame of the pattern to paint if no photo is given


def write_sheet(target: Path, photos: Sequence[Path], overwrite: bool) -> None:
    """Write an image of `photos` painted in every style of the default model.

    A folder stands for its first photo. Without photos, a frame of a pattern is painted. Raises
    UserError if a photo can't be read or the target can't be written.
    """
    check_suffix(target)
    paths = [StillSource(photo).paths[0] for photo in photos]
    check_not_input(target, *map(str, paths))
    check_target(target, overwrite)
    frames = [read_still(path) for path in paths] or [_pattern()]
    columns = []
    for style in styles_beside(parse_style(DEFAULT_STYLE))[0]:
        with open_engine(style) as engine:
            painter = Painter(engine, Look(width=PAINTED_WIDTH, resize=True))
            tiles = [_tile(painter(frame).image) for frame in frames]
        columns.append(np.vstack([_caption(str(style)), *tiles]))
    blocks = [columns[i : i + ACROSS] for i in range(0, len(columns), ACROSS)]
    missing = [np.full_like(columns[0], 255)] * (len(blocks) * ACROSS - len(columns))
    rows = [np.hstack(block) for block in [*blocks[:-1], blocks[-1] + missing]]
    write_image(PilImage.fromarray(np.vstack(rows)), target, overwrite, quality=85)


def _tile(painted: Image) -> Image:
    height = round(painted.shape[0] * TILE_WIDTH / painted.shape[1])
    return resized(painted, TILE_WIDTH, height)


def _caption(text: str) -> Image:
    strip = PilImage.new("RGB", (TILE_WIDTH, CAPTION_HEIGHT), "white")
    middle = (TILE_WIDTH // 2, CAPTION_HEIGHT // 2)
    font = ImageFont.load_default(size=20)
    ImageDraw.Draw(strip).text(middle, text, fill="black", font=font, anchor="mm")
    return np.asarray(strip)


def _pattern() -> Frame:
    with open_video(f"{PREFIX}mandelbrot", Clip()) as source:
        return next(frame for frame in source if frame.index == PATTERN_FRAME)
