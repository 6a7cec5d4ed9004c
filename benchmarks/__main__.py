"""Run a measurement by name.

Usage: python -m benchmarks NAME, or python -m benchmarks NAME --help
"""

import sys
from importlib import import_module
from pathlib import Path

from engines import EngineError
from export.errors import ExportError
from streamstyle.errors import UserError

SHARED = {
    "__init__", "__main__", "layers", "observed", "peers", "plots", "stages", "table",
    "torch_peers", "warping", "ways",
}  # fmt: skip
"""Modules that are no measurements by themselves."""


def main() -> None:
    names = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - SHARED)
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"python -m benchmarks NAME, where NAME is one of {', '.join(names)}")
        sys.exit(2)
    name = sys.argv.pop(1)
    sys.argv[0] = f"python -m benchmarks {name}"
    try:
        import_module(f"benchmarks.{name}").main()
    except (UserError, EngineError, ExportError) as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
