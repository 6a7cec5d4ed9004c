"""Try every container with every codec and pixel format, and print or write what came out.

python -m tests.torture --write formats.md
"""

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

import av
from tqdm import tqdm

from streamstyle.system import cores
from tests.helpers.isolated import map_with
from tests.torture.clips import Case, picture_cases, sound_cases
from tests.torture.compare import Checker, Outcome, Verdict

TARGETS = {"pictures": ".mkv", "sound, into .mkv": ".mkv", "sound, into .mp4": ".mp4"}
"""Sound is copied into Matroska where possible; MP4 often needs another codec."""

Results = dict[str, list[tuple[Case, Verdict]]]

HEAD = """# Formats

Each combination of container, video codec and pixel format that FFmpeg {version} writes and
reads back, and each of container and sound codec, was made (two seconds), painted with
`--strength 0` and compared: the number of frames, their order and times (within a tick), a gray and
six colors (within 1.5 of 255 levels), and length, pitch and start of the sound.

- **right**: nothing differs;
- **noted**: something differs, and a note says so;
- **refused**: one sentence says why, and nothing is written.

```bash
python -m tests.torture --write formats.md
```
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, help="the page to write")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--jobs", type=int, default=cores())
    options = parser.parse_args()
    results: Results = {}
    for name, target in TARGETS.items():
        cases = picture_cases() if name == "pictures" else sound_cases()
        chosen = [case for case in cases if options.only in str(case)]
        results[name] = list(_run(name, chosen, target, options.jobs))
    text = "\n".join([HEAD.format(version=av.ffmpeg_version_info), *_tables(results)])
    if options.write:
        options.write.write_text(text)
    wrong = sum(
        verdict.outcome is Outcome.WRONG for rows in results.values() for _, verdict in rows
    )
    print(f"{wrong} wrong")
    return wrong > 0


def _run(name: str, cases: list[Case], target: str, jobs: int) -> Iterable[tuple[Case, Verdict]]:
    with ExitStack() as stack:
        checkers = [stack.enter_context(closing(Checker(target))) for _ in range(jobs)]
        work = map_with(checkers, cases)
        for case, verdict in tqdm(work, name, len(cases), file=sys.stderr, mininterval=5):
            if verdict.outcome is Outcome.WRONG:
                tqdm.write(f"wrong: {case}: {'; '.join(verdict.differences)}")
            yield case, verdict


def _tables(results: Results) -> Iterable[str]:
    for name, rows in results.items():
        counts: dict[str, Counter[Outcome]] = defaultdict(Counter)
        for case, verdict in rows:
            counts[case.container][verdict.outcome] += 1
        yield f"\n## {name.capitalize()}\n"
        yield "| Container | made | right | noted | refused | wrong |\n|---|--:|--:|--:|--:|--:|"
        for container, found in [*counts.items(), ("**all**", sum(counts.values(), Counter()))]:
            made = found.total() - found[Outcome.NOT_MADE]
            if made:
                kinds = (Outcome.RIGHT, Outcome.NOTED, Outcome.REFUSED, Outcome.WRONG)
                yield (
                    "| "
                    + " | ".join([container, str(made), *(str(found[k]) for k in kinds)])
                    + " |"
                )
        yield from _reasons("Noted", Outcome.NOTED, rows)
        yield from _reasons("Refused", Outcome.REFUSED, rows)


def _reasons(title: str, outcome: Outcome, rows: list[tuple[Case, Verdict]]) -> Iterable[str]:
    examples: dict[str, list[str]] = defaultdict(list)
    for case, verdict in rows:
        if verdict.outcome is outcome:
            text = ": ".join(map("; ".join, filter(None, (verdict.differences, verdict.notes))))
            kind = re.sub(r"\d+(\.\d+)?", "N", re.sub(r"\bin\.\w+\b", "FILE", text))
            examples[kind].append(f"{text} ({case})")
    if examples:
        yield f"\n{title}, one example of each kind:\n"
    for found in sorted(examples.values(), key=len, reverse=True):
        yield f"- {len(found)} x: {found[0]}"


if __name__ == "__main__":
    sys.exit(main())
