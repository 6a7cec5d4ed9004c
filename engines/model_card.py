"""The card of a model: what its ONNX file says of itself."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from engines.errors import EngineError
from engines.fp16 import CONVOLUTIONS

STYLE_ROW = "style_row"
"""The style tensor of a model that paints any picture's style by a row of scales and shifts:
float32 (1, R), which is added to the rows that the style weights choose. Zeros for named styles."""

FORMAT = "1"
"""`streamstyle_format` in the metadata. It moves when a reader of today would misread the file."""


@dataclass(frozen=True)
class StyleCard:
    """One style that a model paints in."""

    name: str
    title: str
    artist: str
    year: str
    licence: str


@dataclass(frozen=True)
class ModelCard:
    """The metadata_props of an ONNX file that keeps the engine contract."""

    path: Path
    sha256: str
    family: str
    """The architecture, such as johnson."""
    styles: tuple[StyleCard, ...]
    training: dict[str, Any]
    """The command, steps, data and losses the weights came from."""
    verification: dict[str, Any]
    """The error against PyTorch, measured when the file was written."""
    measured: dict[str, Any]
    """How well it paints, by style, if it was measured: see benchmarks/quality.py."""
    parts: tuple[str, ...] = ()
    """Names of its parts, if the model has several: see engines/subgraphs.py."""
    style_tensors: tuple[str, ...] = ()
    """Tensors that a picture's style is, if the model takes one: see engines/subgraphs.py."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Bounds of what is convolved, for 8 bits (engines/openvino_/int8.py); empty where those are
    too few."""
    half: str = CONVOLUTIONS
    """What is in half precision when it is painted in fp16: one of engines.fp16.OPERATORS."""
    refused: tuple[str, ...] = ()
    """Precisions in which it would paint another picture, measured when the file was written."""
    strokes: tuple[float, ...] = (1.0,)
    """Sizes, from small to large, of each style's picture that strokes were learned of. Each of
    `styles` has as many rows, one after the other, in the weights of a model of many styles."""
    row_length: int = 0
    """R of the STYLE_ROW; 0 for models that take none."""
    most_pixels: int | None = None
    """Maximum pixels per frame, unless a size is asked for; None for no limit."""

    @property
    def takes_patches(self) -> bool:
        """Whether a picture's style is its patches, which can't be added up, rather than a row."""
        return bool(self.style_tensors) and STYLE_ROW not in self.style_tensors

    def within(self, width: int, height: int) -> tuple[int, int]:
        """(width, height), made smaller where they have more than `most_pixels`."""
        if self.most_pixels is None or width * height <= self.most_pixels:
            return width, height
        scale = math.sqrt(self.most_pixels / (width * height))
        return int(width * scale), int(height * scale)

    def __repr__(self) -> str:
        names = ", ".join(style.name for style in self.styles)
        return f"ModelCard({self.path.name}: {self.family}, {names or 'any picture'})"


@cache
def _read(path: Path, _modified_ns: int) -> ModelCard:
    import onnx  # a quarter of a second that a program without a model need not wait for
    from google.protobuf.message import DecodeError

    data = path.read_bytes()
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise EngineError(f"{path} is not an ONNX file") from error
    properties = {entry.key: entry.value for entry in model.metadata_props}
    written_as = properties.get("streamstyle_format")
    if written_as != FORMAT:
        reason = "has no card" if written_as is None else f"has a card of format {written_as}"
        raise EngineError(
            f"{path} {reason}, so it is not a model for this version; "
            "export it with streamstyle-export"
        )
    verification = json.loads(properties["verification"])
    return ModelCard(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        family=properties["family"],
        styles=tuple(StyleCard(**style) for style in json.loads(properties["styles"])),
        training=json.loads(properties["training"]),
        verification=verification,
        measured=json.loads(properties.get("measured", "{}")),
        parts=tuple(json.loads(properties.get("parts", "[]"))),
        style_tensors=tuple(json.loads(properties.get("style_tensors", "[]"))),
        ranges=json.loads(properties.get("ranges", "{}")),
        strokes=tuple(json.loads(properties.get("strokes", "[1.0]"))),
        half=verification.get("half", CONVOLUTIONS),
        refused=tuple(verification.get("refused", ())),
        row_length=json.loads(properties.get("row_length", "0")),
        most_pixels=json.loads(properties.get("most_pixels", "null")),
    )


def read_card(path: Path) -> ModelCard:
    """The card of the model at `path`. Raises EngineError if there is none to be read."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise EngineError(f"cannot read the model {path}: {error.strerror}") from error
