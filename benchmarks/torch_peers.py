"""Other ways to run the networks that PyTorch can build.

Each way runs as in a program that does not use our engines.
"""

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from engines import STYLE_WEIGHTS, Frames, ModelCard, Style
from export.common.engine_file import FrameGraph, load_weights
from export.families.many_style.model import ManyStyle
from export.families.many_style.train import FAMILIES, TrainConfig, net_config
from streamstyle.cli.bench import Paint, Size
from streamstyle.styles import StyleSpec, read_style


def torch_peers(style: StyleSpec) -> dict[str, Callable[[Size], Paint]]:
    """Return makers as `peers.peers` does; none for a network that PyTorch can't build."""
    card, _ = read_style(style)
    if card.family not in FAMILIES:
        return {}
    makers: dict[str, Callable[[Size], Paint]] = {"OpenCV's dnn": partial(_opencv, style)}
    lower = {"cpu": torch.bfloat16}
    if torch.cuda.is_available():
        lower["cuda"] = torch.float16
    for device, low in lower.items():
        on_device = partial(_torch, style, device)
        for dtype in (torch.float32, low):
            name = f"PyTorch on {device} in {str(dtype).removeprefix('torch.')}"
            makers[name] = partial(on_device, dtype, False)
        fastest = torch.float32 if device == "cpu" else low
        makers[f"torch.compile on {device}"] = partial(on_device, fastest, True)
    return makers


def graph_of(card: ModelCard) -> FrameGraph:
    """Return the network of an engine file in PyTorch."""
    config = TrainConfig(card.styles, "", strokes=card.strokes, net=net_config(card))  # type: ignore[arg-type]
    net = config.make_net()
    load_weights(net, card.path)
    return FrameGraph(net).eval()


def _weights(style: Style) -> torch.Tensor | None:
    return torch.from_numpy(style[STYLE_WEIGHTS]) if style else None


def _torch(
    style: StyleSpec,
    device: str,
    dtype: torch.dtype,
    compiled: bool,
    _size: Size,
) -> Paint:
    """Make an eager or compiled network; autocast lowers the precision, as PyTorch advises."""
    card, inputs = read_style(style)
    graph, weights = graph_of(card).to(device), _weights(inputs)
    more = [] if weights is None else [weights.to(device)]
    run = torch.compile(graph, dynamic=False) if compiled else graph
    low = dtype != torch.float32

    def paint(frames: Frames) -> Frames:
        with (
            torch.inference_mode(),
            torch.autocast(device, dtype=dtype if low else None, enabled=low),
        ):
            painted = run(torch.from_numpy(frames).to(device), *more)
        array: Frames = painted.cpu().numpy()
        return array

    return paint


def _opencv(style: StyleSpec, size: Size) -> Paint:
    """Make OpenCV's network; frames are converted to blobs and back, because it takes no uint8."""
    import cv2

    card, inputs = read_style(style)
    net, weights = graph_of(card).net, _weights(inputs)
    example = torch.zeros(1, 3, size[1], size[0])
    if isinstance(net, ManyStyle):
        assert weights is not None
        example_inputs: tuple[torch.Tensor, ...] = (example, weights[None])
    else:
        example_inputs = (example,)
    names = ["rgb", "style"][: len(example_inputs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about torch's own code
        program = torch.onnx.export(net, example_inputs, input_names=names, verbose=False)
    assert program is not None
    model = program.model_proto.SerializeToString()
    loaded = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
    if weights is not None:
        loaded.setInput(weights[None].numpy(), "style")

    def paint(frames: Frames) -> Frames:
        loaded.setInput(cv2.dnn.blobFromImages([*frames], 1 / 255), "rgb")
        planes = loaded.forward().transpose(0, 2, 3, 1)
        painted: Frames = np.clip(planes * 255, 0, 255).round().astype(np.uint8)
        return painted

    return paint
