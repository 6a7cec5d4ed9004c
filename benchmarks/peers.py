"""Other ways to run the same network, each as a program would that does not use our engines."""

import copy
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from engines import STYLE_WEIGHTS, EngineError, Frames, ModelCard, Style
from export.engine_file import FrameGraph, load_weights
from export.models.many_style import ManyStyle
from export.train import FAMILIES, TrainConfig
from streamstyle.bench import Paint, peak_after
from streamstyle.styles import Transfer, read_style


def peers(card: ModelCard, style: Style, size: tuple[int, int]) -> dict[str, Callable[[], Paint]]:
    """By name, what makes each ready for frames of `size`, (width, height). What can't run here
    raises whatever its library does."""
    makers: dict[str, Callable[[], Paint]] = {
        "onnxruntime as it comes": lambda: _onnxruntime(card, style)
    }
    if card.family not in FAMILIES:
        return makers
    graph = graph_of(card)
    weights = torch.from_numpy(style[STYLE_WEIGHTS]) if style else None
    makers["OpenCV's dnn"] = lambda: _opencv(graph, weights, size)
    lower = {"cpu": torch.bfloat16}
    if torch.cuda.is_available():
        lower["cuda"] = torch.float16
    for device, low in lower.items():
        whole, half = (_Torch(graph, weights, device, dtype) for dtype in (torch.float32, low))
        makers[f"PyTorch on {device} in float32"] = whole.eager
        makers[f"PyTorch on {device} in {str(low).removeprefix('torch.')}"] = half.eager
        fastest = whole if device == "cpu" else half
        makers[f"torch.compile on {device}"] = fastest.compiled
    return makers


def peer_memory(style: str, transfer: Transfer, size: tuple[int, int], name: str) -> float:
    """MB that this process had at most, when it had painted two frames."""
    paint = peers(*read_style(style, transfer), size)[name]()
    return peak_after(paint, size)


def graph_of(card: ModelCard) -> FrameGraph:
    """The net of an engine file in PyTorch."""
    config = FAMILIES[card.family](**card.training.get("net", {}))  # none: as published by default
    net = TrainConfig(card.styles, "", net=config).make_net()  # type: ignore[arg-type]
    load_weights(net, card.path)
    return FrameGraph(net).eval()


class _Torch:
    """Eager PyTorch, in a lower precision by autocast, as its documentation advises."""

    def __init__(
        self, graph: FrameGraph, weights: torch.Tensor | None, device: str, dtype: torch.dtype
    ) -> None:
        self._graph = copy.deepcopy(graph).to(device)
        self._weights = [] if weights is None else [weights.to(device)]
        self._device, self._dtype = device, dtype

    def eager(self) -> Paint:
        return partial(self._paint, self._graph)

    def compiled(self) -> Paint:
        return partial(self._paint, torch.compile(self._graph, dynamic=False))

    def _paint(self, run: Callable[..., torch.Tensor], frames: Frames) -> Frames:
        low = self._dtype != torch.float32
        with (
            torch.inference_mode(),
            torch.autocast(self._device, dtype=self._dtype if low else None, enabled=low),
        ):
            painted = run(torch.from_numpy(frames).to(self._device), *self._weights)
        return painted.cpu().numpy()


def _onnxruntime(card: ModelCard, style: Style) -> Paint:
    import onnxruntime

    session = onnxruntime.InferenceSession(card.path)
    if any(name not in {"frame", *style} for name in (i.name for i in session.get_inputs())):
        raise EngineError(f"{card.path.name} is a model of several parts")

    def paint(frames: Frames) -> Frames:
        painted: Frames = session.run(["stylized"], {"frame": frames, **style})[0]
        return painted

    return paint


def _opencv(graph: FrameGraph, weights: torch.Tensor | None, size: tuple[int, int]) -> Paint:
    """It takes no uint8: the picture is made a blob and back by its own functions."""
    import cv2

    net = graph.net
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
