"""A window on the screen, based on SDL, that shows pictures and reports keys and the mouse."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from streamstyle.closeable import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Image
from streamstyle.image_ops import load_opencv

Size = tuple[int, int]

LINES = 26
"""Lines of text that fit into the window's height, unless they would be too small to read."""

LETTER, MIN_LETTER = 14, 9
"""Font sizes in pixels: easy to read, and barely legible, the limit when more lines must fit."""

_ENVIRONMENT = {
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    "SDL_RENDER_SCALE_QUALITY": "linear",  # else pictures are scaled without smoothing
    "SDL_VIDEO_X11_WMCLASS": "streamstyle",  # what desktops group and name windows by
    "SDL_VIDEO_WAYLAND_WMCLASS": "streamstyle",
}
"""Environment variables that pygame and SDL read when they start; a user's own settings win."""

_BLACK, _WHITE, _SHADE = (0, 0, 0, 255), (255, 255, 255), (0, 0, 0, 150)


@dataclass(frozen=True)
class Pressed:
    """A key was pressed."""

    key: str
    """Character that it types, in lower case, or "left", "right", "space", "escape" or "f11"."""


@dataclass(frozen=True)
class Pointed:
    """The left mouse button is down at this place in the picture."""

    x: float
    """Fraction of the picture's width, from 0 (left) to 1 (right)."""
    y: float
    """Fraction of the picture's height, from 0 (top) to 1 (bottom)."""


@dataclass(frozen=True)
class DoubleClicked:
    """The mouse was double-clicked, anywhere in the window."""


@dataclass(frozen=True)
class Turned:
    """The mouse wheel was turned."""

    steps: int
    """Number of steps; positive away from the user."""


@dataclass(frozen=True)
class Dropped:
    """A file was dropped on the window."""

    path: str


@dataclass(frozen=True)
class Closed:
    """The window was closed, by its button or by the desktop."""


Event = Pressed | Pointed | DoubleClicked | Turned | Dropped | Closed

DOUBLE_CLICK_MS = 400


class Display(Closing):
    """One window. Only the main thread may use it, as desktops demand."""

    def __init__(
        self, title: str, width: int, height: int, pixel_aspect: Fraction = Fraction(1)
    ) -> None:
        """Open a window for pictures of `width` by `height` pixels.

        Each pixel is `pixel_aspect` times as wide as high. The window is smaller than the picture
        if that does not fit on the desktop. Raises UserError if there is no screen.
        """
        self._pixel_aspect = pixel_aspect
        width = round(width * pixel_aspect)
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import pygame
        from pygame._sdl2 import video

        self._pygame = pygame
        self._video = video
        try:
            if not _has_desktop():
                raise pygame.error("there is no screen")
            pygame.display.init()
            pygame.font.init()
            pygame.display.set_allow_screensaver(False)  # a picture on a wall gets no input
            self._window = pygame.Window(
                title, _within_desktop(pygame, width, height), resizable=True, allow_high_dpi=True
            )
            self._renderer = video.Renderer(self._window, vsync=True)
        except pygame.error as error:
            pygame.display.quit()
            raise UserError(
                f"cannot open a window ({error}); to paint without one, give --no-window with "
                "--record, --stream or --virtual-camera"
            ) from error
        self._window.set_icon(_icon(pygame))
        self._picture: Any = None
        self._picture_at = pygame.Rect(0, 0, width, height)
        self._text: Any = None
        self._text_of: tuple[Sequence[str], int] = ((), 0)
        self.full_screen = False
        self._clicked_at_ms = -DOUBLE_CLICK_MS

    def show(self, image: Image, lines: Sequence[str]) -> None:
        """Show a picture, (H, W, 3), as large as fits, with lines of text over it.

        Returns when the picture is on the screen.
        """
        height, width = image.shape[:2]
        cv2 = load_opencv()
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGRA)  # a layout that graphics cards take
        surface = self._pygame.image.frombuffer(pixels, (width, height), "BGRA")
        if self._picture is None or (self._picture.width, self._picture.height) != (width, height):
            self._picture = self._video.Texture(self._renderer, (width, height), streaming=True)
        self._picture.update(surface)
        self._picture_at = self._pygame.Rect(
            _fitted((round(width * self._pixel_aspect), height), self._pixels)
        )
        self._renderer.draw_color = _BLACK
        self._renderer.clear()
        self._picture.draw(dstrect=self._picture_at)
        if lines:
            self._written(lines).draw(dstrect=self._text.get_rect())
        self._renderer.present()

    def events(self) -> Iterator[Event]:
        """Yield what has happened since the last call."""
        pygame = self._pygame
        for event in pygame.event.get():
            if event.type in (pygame.QUIT, pygame.WINDOWCLOSE):
                yield Closed()
            elif event.type == pygame.KEYDOWN:
                special = {
                    pygame.K_LEFT: "left",
                    pygame.K_RIGHT: "right",
                    pygame.K_SPACE: "space",
                    pygame.K_ESCAPE: "escape",
                    pygame.K_F11: "f11",
                }
                yield Pressed(special.get(event.key, event.unicode.lower()))
            elif event.type == pygame.MOUSEBUTTONDOWN and event.button == pygame.BUTTON_LEFT:
                yield from self._clicked(event.pos)
            elif event.type == pygame.MOUSEMOTION and event.buttons[0]:
                yield self._pointed(event.pos)
            elif event.type == pygame.MOUSEWHEEL:
                yield Turned(event.y)
            elif event.type == pygame.DROPFILE:
                yield Dropped(event.file)

    def toggle_full_screen(self) -> None:
        self.full_screen = not self.full_screen
        if self.full_screen:
            self._window.set_fullscreen(desktop=True)
        else:
            self._window.set_windowed()

    def close(self) -> None:
        self._picture = self._text = None
        self._window.destroy()
        self._pygame.display.quit()

    @property
    def _pixels(self) -> Size:
        """Size of the window in pixels; on a high-density display, more than its size in points."""
        return self._renderer.get_viewport().size

    def _clicked(self, at: Size) -> Iterator[Event]:
        at_ms = self._pygame.time.get_ticks()
        if at_ms - self._clicked_at_ms < DOUBLE_CLICK_MS:
            at_ms = -DOUBLE_CLICK_MS  # a third click starts a new double click
            yield DoubleClicked()
        self._clicked_at_ms = at_ms
        yield self._pointed(at)

    def _pointed(self, at: Size) -> Pointed:
        density = self._pixels[0] / self._window.size[0]
        place = self._picture_at
        x = (at[0] * density - place.x) / max(1, place.width)
        y = (at[1] * density - place.y) / max(1, place.height)
        return Pointed(min(1.0, max(0.0, x)), min(1.0, max(0.0, y)))

    def _written(self, lines: Sequence[str]) -> Any:
        """Return a texture of the lines, white on a shade; it is redrawn only if they change."""
        pygame = self._pygame
        height = self._pixels[1]
        step = max(MIN_LETTER, min(max(LETTER, height // LINES), height // (len(lines) + 1)))
        if (tuple(lines), step) != self._text_of:
            font = pygame.font.Font(None, step)
            written = [font.render(line, True, _WHITE) for line in lines]
            width = max(line.get_width() for line in written) + step
            panel = pygame.Surface((width, step * len(lines) + step // 2), pygame.SRCALPHA)
            panel.fill(_SHADE)
            for row, line in enumerate(written):
                panel.blit(line, (step // 2, step // 2 + row * step))
            self._text = self._video.Texture.from_surface(self._renderer, panel)
            self._text_of = (tuple(lines), step)
        return self._text


def _has_desktop() -> bool:
    """Return whether there is a desktop to open a window on.

    Without one, SDL would run on silently with nothing to see. A user may still name a driver that
    needs no desktop, such as kmsdrm.
    """
    wanted = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    return sys.platform != "linux" or any(os.environ.get(name) for name in wanted)


def _within_desktop(pygame: Any, width: int, height: int) -> Size:
    across, down = pygame.display.get_desktop_sizes()[0]
    shrink = min(1.0, 0.9 * across / width, 0.9 * down / height)
    return round(width * shrink), round(height * shrink)


def _fitted(picture: Size, window: Size) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the picture, centered in the window.

    The whole picture is visible, and it is not stretched.
    """
    scale = min(window[0] / picture[0], window[1] / picture[1])
    width, height = round(picture[0] * scale), round(picture[1] * scale)
    return (window[0] - width) // 2, (window[1] - height) // 2, width, height


def _icon(pygame: Any) -> Any:
    """Draw three strokes of paint."""
    icon = pygame.Surface((64, 64), pygame.SRCALPHA)
    for row, color in enumerate([(36, 74, 150), (240, 180, 40), (200, 60, 40)]):
        pygame.draw.line(icon, color, (10, 18 + 16 * row), (54, 10 + 16 * row), 13)
    return icon
