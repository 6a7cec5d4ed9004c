"""The card of a model: the metadata in its ONNX file."""

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
"""Name of the style tensor that holds a picture's style as a row of scales and shifts.

It is float32 (1, R) and is added to the rows that the style weights choose; zeros for named styles.
"""

FRAME = "frame"
"""Name of the input that takes frames."""

MOST_NODES = 10_000
"""Compiling takes minutes for more; the largest model that ships has a tenth of that."""

FORMAT = "1"
"""`streamstyle_format` in the metadata; it changes when today's reader would misread the file."""


@dataclass(frozen=True)
class StyleCard:
    """A style that a model paints in."""

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
    """The command, steps, data and losses that the weights came from."""
    verification: dict[str, Any]
    """The error against PyTorch, measured when the file was written."""
    measured: dict[str, Any]
    """Quality of each style; empty if it was not measured. See benchmarks/quality.py."""
    parts: tuple[str, ...] = ()
    """Names of the parts, if the model has several. See engines/subgraphs.py."""
    style_tensors: tuple[str, ...] = ()
    """Tensors that hold a picture's style, if the model takes one. See engines/subgraphs.py."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Bounds of each convolved tensor, for int8 (engines/openvino_/int8.py).

    Empty if 8 bits are too few for the model.
    """
    half: str = CONVOLUTIONS
    """What is computed in half precision when painting in fp16: a key of engines.fp16.OPERATORS."""
    refused: tuple[str, ...] = ()
    """Precisions in which the picture would differ too much, measured when the file was written."""
    strokes: tuple[float, ...] = (1.0,)
    """Sizes of each style's picture that strokes were learned from, from small to large.

    In the weights of a model of many styles, each of `styles` has one row per size, one after the
    other.
    """
    row_length: int = 0
    """R of the STYLE_ROW; 0 for models that take no such row."""
    most_pixels: int | None = None
    """Maximum pixels per frame, unless the user asks for a size; None for no limit."""

    @property
    def takes_patches(self) -> bool:
        """Whether a picture's style is a set of patches, which can't be added up, and not a row."""
        return bool(self.style_tensors) and STYLE_ROW not in self.style_tensors

    def within(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height), scaled down if they exceed `most_pixels`."""
        if self.most_pixels is None or width * height <= self.most_pixels:
            return width, height
        scale = math.sqrt(self.most_pixels / (width * height))
        return int(width * scale), int(height * scale)

    def __repr__(self) -> str:
        names = ", ".join(style.name for style in self.styles)
        return f"ModelCard({self.path.name}: {self.family}, {names or 'any picture'})"


@cache
def _read(path: Path, _modified_ns: int) -> ModelCard:
    import onnx  # takes 0.25 s to import, which a program without a model saves
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
    if len(model.graph.node) > MOST_NODES:
        raise EngineError(
            f"{path} has {len(model.graph.node)} operations, too many for video; the most is "
            f"{MOST_NODES}"
        )
    if any(tensor.data_location == tensor.EXTERNAL for tensor in model.graph.initializer):
        raise EngineError(f"{path} keeps weights in another file; export it with them inside")
    # The name of a part may come first. A name that is no text, protobuf gives as bytes.
    outputs = {str(port.name).split("/")[-1] for port in model.graph.output}
    if FRAME not in {port.name for port in model.graph.input} or "stylized" not in outputs:
        raise EngineError(f"{path} has no input called frame, or no output called stylized")
    try:
        return _card(path, properties, hashlib.sha256(data).hexdigest())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EngineError(f"the card of {path} is damaged; export it again") from error


def _card(path: Path, properties: Mapping[str, str], sha256: str) -> ModelCard:
    verification = json.loads(properties["verification"])
    return ModelCard(
        path=path,
        sha256=sha256,
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
    """Return the card of the model at `path`.

    Raises EngineError if the file can't be read, or has no card that this version understands.
    """
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise EngineError(f"cannot read the model {path}: {error.strerror}") from error
