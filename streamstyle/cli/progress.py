"""The progress and the summary of a run, on the terminal."""

from typing import Never, TextIO

from tqdm import tqdm

from streamstyle.api import Report
from streamstyle.closeable import Closing
from streamstyle.pipeline import Stats
from streamstyle.sources import SourceInfo


class ProgressBar(Closing):
    """Shows frames done, frames per second and the time left, on standard error."""

    def __init__(self) -> None:
        self._bar: tqdm[Never] | None = None

    def __call__(self, source: SourceInfo, stats: Stats) -> None:
        if self._bar is None:
            self._bar = tqdm(total=source.frames, unit=" frames", desc=source.name, leave=False)
        if source.frames is not None and stats.frames > source.frames:
            self._bar.total = stats.frames  # the source's number is an estimate
        self._bar.update(stats.frames - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def print_report(report: Report, file: TextIO | None = None) -> None:
    """Print the summary of a run, on standard output unless a file is given."""
    stats = report.stats
    print(
        f"{report.target}: {stats.frames} frames in {stats.elapsed_s:.1f} s, "
        f"{stats.fps:.1f} frames per second, by {report.engine}",
        file=file,
    )
    stages = (("decode", stats.source), ("paint", stats.engine), ("encode", stats.sink))
    print(
        "median / 95 % of frames: "
        + ", ".join(
            f"{name} {stage.percentile_ms(50):.1f} / {stage.percentile_ms(95):.1f} ms"
            for name, stage in stages
        ),
        file=file,
    )
    for note in report.notes:
        print(f"note: {note}", file=file)
