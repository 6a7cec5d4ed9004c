"""The benchmark `profile`: its operations match those of the network, and it prints its tables."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from torch.nn import functional
from torch.overrides import TorchFunctionMode

from benchmarks import layers, profile
from benchmarks.torch_peers import graph_of
from streamstyle.styles import parse_style, read_style

SIZE = (96, 64)


class CountedConvolutions(TorchFunctionMode):
    """Record the number of operations of every convolution that runs in this context."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[int] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is functional.conv2d:
            self.operations.append(2 * result.numel() * args[1][0].numel())
        return result


@pytest.mark.parametrize(
    ("backend", "precision", "kind"),
    [
        ("openvino", "fp32", "Convolution"),
        ("openvino", "int8", "Convolution"),
        ("onnxruntime", "fp32", "Conv"),
    ],
)
def test_operations_are_those_of_the_net(backend: str, precision: str, kind: str) -> None:
    card, style = read_style(parse_style("small"))
    graph = graph_of(card)
    frame = torch.zeros(1, SIZE[1], SIZE[0], 3, dtype=torch.uint8)
    with CountedConvolutions() as seen, torch.no_grad():
        graph(frame, torch.from_numpy(style["style_weights"]))
    counted = seen.operations
    found = list(profile.layers_of(card, None, style, SIZE, backend, precision))
    convolutions = [layer for layer in found if layer.kind == kind]
    assert len(convolutions) == len(counted)
    assert sum(layer.operations for layer in convolutions) == pytest.approx(sum(counted))
    # onnxruntime measures in whole microseconds, so a layer may take 0.
    least_s = 0 if backend == "onnxruntime" else 1e-9
    assert all(layer.bytes > 0 and layer.seconds >= least_s for layer in found)
    assert all(layer.seconds > 0 for layer in convolutions)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], backend: str
) -> None:
    options = ["--style", "small", "--size", "64x48", "--layers", "2", "--engine", backend]
    monkeypatch.setattr(sys, "argv", ["profile", *options])
    monkeypatch.setattr(profile, "CLIP", 5)
    monkeypatch.setattr(layers, "PLACES", 8)
    profile.main()
    output = capsys.readouterr().out
    assert f"small, 64x48, {backend} on cpu in " in output
    stages, rows = (
        [line for line in part.splitlines() if line.startswith("| ")][1:]
        for part in output.split("Large convolutions in ")
    )
    names = [row.split(" | ")[0] for row in stages]
    assert names == [
        *("| decoding", "| YUV to RGB", "| painting", "| RGB to YUV", "| encoding"),
        "| all",
    ]
    for table, parts in ((stages, slice(0, -1)), (rows, slice(2, -1))):
        shares = [int(re.findall(r"(\d+)%", row)[0]) for row in table]
        assert sum(shares[parts]) == pytest.approx(100, abs=len(table))
        assert shares[-1] == 100
    # With so small a frame on a busy machine, another kind of layer may take longer.
    assert any(re.match(r"\| all \d+ of Conv(olution)? \|", row) for row in rows[2:-1])
    assert re.search(r"The network does \d+ GFLOP/s, \d+% of what large convolutions do", output)


@pytest.mark.slow
def test_of_a_level_that_takes_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(picture)
    options = ["--style-image", str(picture), "--levels", "1", "--size", "64x48", "--layers", "0"]
    monkeypatch.setattr(sys, "argv", ["profile", *options])
    monkeypatch.setattr(profile, "CLIP", 2)
    monkeypatch.setattr(layers, "PLACES", 8)
    profile.main()
    output = capsys.readouterr().out
    assert "wct, 64x48, openvino on cpu in" in output
    assert re.search(r"\| all \d+ of Convolution \|", output)
