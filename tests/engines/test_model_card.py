"""Model cards: every model that ships has one, and a file without one is refused."""

from pathlib import Path

import onnx
import pytest

from engines import EngineError, read_card, takes_pictures
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
