"""The profile of a frame: that its operations are those of the net."""

import re
import sys

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402

from benchmarks import profile  # noqa: E402
from benchmarks.torch_peers import graph_of  # noqa: E402
from engines.openvino_backend import core  # noqa: E402
from streamstyle.styles import read_style  # noqa: E402

SIZE = (96, 64)


class CountedConvolutions(TorchFunctionMode):
    """The operations of each convolution, of a module or not, that is computed meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[int] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is functional.conv2d:
            self.operations.append(2 * result.numel() * args[1][0].numel())
        return result


def test_operations_are_those_of_the_net() -> None:
    card, style = read_style("small")
    graph = graph_of(card)
    frame = torch.zeros(1, SIZE[1], SIZE[0], 3, dtype=torch.uint8)
    with CountedConvolutions() as seen, torch.no_grad():
        graph(frame, torch.from_numpy(style["style_weights"]))
    counted = seen.operations
    layers = list(profile.profiled(core().read_model(card.path), style, SIZE))
    convolutions = [layer for layer in layers if layer.kind == "Convolution"]
    assert len(convolutions) == len(counted)
    assert sum(layer.operations for layer in convolutions) == pytest.approx(sum(counted))
    assert all(layer.bytes > 0 and layer.seconds > 0 for layer in layers)


def test_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(
        sys, "argv", ["profile", "--style", "small", "--size", "64x48", "--layers", "2"]
    )
    monkeypatch.setattr(profile, "PLACES", 8)
    profile.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    # Of so small a frame, on a busy machine, another kind may take longer.
    assert any(re.match(r"\| all \d+ of Convolution \|", row) for row in rows[2:-1])
    shares = [int(re.findall(r"(\d+)%", row)[0]) for row in rows]
    assert sum(shares[2:-1]) == pytest.approx(100, abs=len(rows))
    assert shares[-1] == 100
