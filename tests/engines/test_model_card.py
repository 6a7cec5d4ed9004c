"""Model cards: every model that ships has one, and a file without one is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from engines import EngineError, open_engine, read_card, takes_pictures
from engines.model_card import MOST_NODES
from tests.helpers.frames import MODELS
from tests.helpers.models import write_inverter, write_tinter


def test_card_of_what_ships() -> None:
    for path in MODELS:
        card = read_card(path)
        assert card.styles or takes_pictures(card)
        assert all(style.year != "unknown" for style in card.styles)
        assert card.training["commands"]
        for command in card.training["commands"]:
            assert command.startswith("streamstyle-export train ")
            assert "/" not in command  # no paths of the machine that trained it
        assert card.verification["worst_psnr_db"] >= 40
        # The linear layers of a transformer, in half precision, are larger than convolutions.
        assert path.stat().st_size < (10_000_000 if card.style_tensors else 5_000_000)


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"not an ONNX file|has no card"):
        read_card(path)


def test_model_without_a_card(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_inverter(path)
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(EngineError, match=r"has no card.*streamstyle-export"):
        read_card(path)


def test_missing_model(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot read the model"):
        read_card(tmp_path / "missing.onnx")


def test_replaced_model_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_inverter(path)
    before = read_card(path).sha256
    write_tinter(path)
    assert read_card(path).sha256 != before


def changed_model(path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    """Write a model that paints, with one change."""
    write_inverter(path)
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("styles", "not json"),
        ("styles", "[" * 100_000),
        ("styles", '[{"name": "only"}]'),
        ("verification", "null"),
        ("family", None),
    ],
)
def test_damaged_card(tmp_path: Path, key: str, value: str | None) -> None:
    def damage(model: onnx.ModelProto) -> None:
        properties = {entry.key: entry.value for entry in model.metadata_props} | {key: value}
        del model.metadata_props[:]
        kept = {name: text for name, text in properties.items() if text is not None}
        onnx.helper.set_model_props(model, kept)

    with pytest.raises(EngineError, match=r"the card of .*model.onnx is damaged"):
        read_card(changed_model(tmp_path / "model.onnx", damage))


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "other"


def rename_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "other"


def move_weights_out(model: onnx.ModelProto) -> None:
    weights = model.graph.initializer[0]
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../secret")


def repeat_operations(model: onnx.ModelProto) -> None:
    model.graph.node.extend([model.graph.node[0]] * MOST_NODES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rename_output, "no output called stylized"),
        (rename_input, "no input called frame"),
        (move_weights_out, "keeps weights in another file"),
        (repeat_operations, "too many for video"),
    ],
)
def test_graph_that_breaks_the_contract(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None], words: str
) -> None:
    with pytest.raises(EngineError, match=words):
        read_card(changed_model(tmp_path / "model.onnx", change))


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_operation_that_a_backend_does_not_know_is_one_sentence(
    tmp_path: Path, backend: str
) -> None:
    def rename(model: onnx.ModelProto) -> None:
        model.graph.node[0].op_type = "NoSuchOperation"

    path = changed_model(tmp_path / "model.onnx", rename)
    with (
        pytest.raises(EngineError, match=r"model\.onnx.*NoSuchOperation") as error,
        open_engine(path, backend) as engine,
    ):
        engine.paint(np.zeros((1, 48, 64, 3), np.uint8))
    assert "\n" not in str(error.value)
