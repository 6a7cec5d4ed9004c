"""TensorRT's plans: the sizes that each plan covers, and the files that store them."""

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines import ZOO, read_card
from engines.subgraphs import graph_of
from engines.tensorrt_ import plan_cache
from engines.tensorrt_.engine import SIDES, bounds_of, fits
from engines.tensorrt_.graph import PRECISIONS, for_tensorrt, inputs_of
from streamstyle.cli.main import main
from tests.helpers.frames import inputs_for
from tests.helpers.tensorrt_doubles import RECIPE


def test_a_few_plans_take_every_size_of_a_ladder() -> None:
    card = read_card(ZOO / "medium.onnx")
    rows = len(card.styles) * len(card.strokes)
    shapes = inputs_of(for_tensorrt(ZOO / "medium.onnx", "fp32"))
    assert shapes == {"frame": (-1, -1, -1, 3), "style_weights": (rows,)}
    bounds = bounds_of(shapes, 1280)
    assert bounds["frame"] == ((1, 16, 16, 3), (1, 720, 1280, 3), (1, 1280, 1280, 3))
    assert bounds["style_weights"] == ((rows,),) * 3
    for height, width in ((16, 16), (720, 1280), (1280, 720), (216, 384)):
        assert fits({"frame": (1, height, width, 3), "style_weights": (rows,)}, bounds)
    assert not fits({"frame": (1, 720, 1281, 3)}, bounds)
    assert not fits({"frame": (2, 720, 1280, 3)}, bounds)


def test_styles_of_any_size_fit() -> None:
    card = read_card(ZOO / "wct.onnx")
    bounds = bounds_of(inputs_of(for_tensorrt(graph_of(card, "relu2_1"), "fp32")), SIDES[0])
    assert fits({"transform": (2, 32, 32), "center": (2, 32), "masks": (2, 180, 320)}, bounds)
    assert not fits({"transform": (3, 32, 32)}, bounds)
    card = read_card(ZOO / "stytr2.onnx")
    bounds = bounds_of(inputs_of(for_tensorrt(graph_of(card, None), "fp32")), SIDES[0])
    style = inputs_for(ZOO / "stytr2.onnx")
    assert fits({name: array.shape for name, array in style.items()}, bounds)


def test_a_plan_is_named_by_all_that_it_depends_on() -> None:
    changes: list[dict[str, Any]] = [
        {"graph_sha256": "1235"},
        {"bounds": {"frame": ((1,), (2,), (4,))}},
        {"is_lean": True},
        {"tensorrt": "10.16.2.1"},
        {"gpu": "Some GPU 8.9"},
        {"system": "another"},
    ]
    assert {name for change in changes for name in change} == set(vars(RECIPE))
    names = {RECIPE.plan_name, *(replace(RECIPE, **change).plan_name for change in changes)}
    assert len(names) == 1 + len(changes)
    assert replace(RECIPE).plan_name == RECIPE.plan_name


def test_a_graph_is_of_its_model_part_and_precision() -> None:
    card = read_card(ZOO / "wct.onnx")
    graphs = {
        for_tensorrt(graph_of(card, part), precision)
        for part in ("relu1_1", "relu2_1")
        for precision in PRECISIONS
    }
    assert len(graphs) == 6
    assert for_tensorrt(graph_of(card, "relu1_1"), "fp32") in graphs


WRITER = """
import sys
from pathlib import Path
from engines.tensorrt_ import plan_cache

plan_cache.FOLDER = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(30):
    plan_cache.keep("one.plan", sys.argv[2].encode() * 4_000_000)
"""


def test_two_processes_may_keep_the_same_plan(plans_folder: Path) -> None:
    """A reader always gets one complete plan, whichever process wrote it."""
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WRITER, str(plans_folder), letter],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for letter in "ab"
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            print("go", file=writer.stdin, flush=True)
        while any(writer.poll() is None for writer in writers):
            data = plan_cache.read("one.plan")
            assert data is None or (len(data) == 4_000_000 and len(set(data)) == 1)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [path.name for path in plans_folder.iterdir()] == ["one.plan"]


def test_what_can_not_be_kept_leaves_nothing(plans_folder: Path) -> None:
    (plans_folder / "one.plan").mkdir(parents=True)
    with pytest.raises(OSError, match=r"one\.plan"):
        plan_cache.keep("one.plan", b"data")
    assert [path.name for path in plans_folder.iterdir()] == ["one.plan"]


def test_plans_are_forgotten(plans_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan_cache.keep("one.plan", bytes(3_000_000))
    (plans_folder / "of onnxruntime").mkdir()
    for megabytes in (3, 0):
        assert main(["doctor", "--forget-plans"]) == 0
        assert capsys.readouterr().out == f"deleted {megabytes} MB in {plans_folder}\n"
        assert not plans_folder.exists()
