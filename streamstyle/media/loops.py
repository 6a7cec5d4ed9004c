"""How often an animated picture plays."""

from av.container import InputContainer
from PIL import Image


def loop_option(container: InputContainer, suffix: str) -> dict[str, str]:
    """Return the muxer's option that lets a GIF made from a GIF play as often; else none.

    FFmpeg does not report how often a GIF plays.
    """
    if container.format.name != "gif" or suffix != ".gif":
        return {}
    try:
        with Image.open(container.name.removeprefix("file:")) as animation:
            return {"loop": str(animation.info.get("loop", -1))}  # without a number, it plays once
    except OSError:  # an address
        return {}
