"""A virtual screen with a window manager, and xdotool to press keys."""

import os
import subprocess
import time
from pathlib import Path

import mss
import numpy as np

from streamstyle.frame import Image

NEEDED = ("Xvfb", "xdotool", "openbox")

PATIENCE_S = 30

OPENBOX = """<openbox_config xmlns="http://openbox.org/3.4/rc">
<applications><application class="*"><decor>no</decor></application></applications>
<keyboard><keybind key="A-F4"><action name="Close"/></keybind></keyboard>
</openbox_config>"""
"""Windows have no decorations: xdotool counts these twice when it reports a window's position."""


class Screen:
    """A virtual screen with a window manager, as desktops have."""

    def __init__(self, folder: Path) -> None:
        read_end, write_end = os.pipe()
        # Without -noreset the server resets itself whenever xdotool disconnects.
        command = ["Xvfb", "-noreset", "-displayfd", str(write_end), "-screen", "0", "800x600x24"]
        self._server = subprocess.Popen(
            command, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            self.name = f":{pipe.readline().strip()}"
        settings = folder / "openbox.xml"
        settings.write_text(OPENBOX)
        self._manager = subprocess.Popen(
            ["openbox", "--config-file", str(settings)],
            env={**os.environ, "DISPLAY": self.name},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not self.do("get_num_desktops"):  # until the window manager is running
            time.sleep(0.05)

    def look(self) -> Image:
        with mss.MSS(display=self.name) as grabber:
            shot = grabber.grab(grabber.monitors[0])
            return np.frombuffer(shot.rgb, np.uint8).reshape(shot.height, shot.width, 3)

    def do(self, *words: str) -> str:
        """Run xdotool with these arguments and return its output."""
        run = subprocess.run(
            ["xdotool", *words],
            env={**os.environ, "DISPLAY": self.name},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        return run.stdout

    def close(self) -> None:
        for program in (self._manager, self._server):
            program.terminate()
            program.wait()
