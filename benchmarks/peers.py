"""Other ways to run the same network, as far as they are installed."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from engines import EngineError, Frames
from streamstyle.cli.bench import Paint, Size
from streamstyle.styles import StyleSpec, read_style


def peers(style: StyleSpec) -> dict[str, Callable[[Size], Paint]]:
    """Return the maker of each way by name.

    A maker prepares a way for frames of a size, in the process that calls it. If the way can't run
    here, the maker raises whatever its library raises.
    """
    makers: dict[str, Callable[[Size], Paint]] = {}
    if find_spec("onnxruntime") is not None:
        makers["onnxruntime as it comes"] = partial(_onnxruntime, style)
    if find_spec("torch") is not None:
        from benchmarks.torch_peers import torch_peers  # its import takes seconds and memory

        makers.update(torch_peers(style))
    return makers


def _onnxruntime(style: StyleSpec, _size: Size) -> Paint:
    import onnxruntime

    card, inputs = read_style(style)
    session = onnxruntime.InferenceSession(card.path)
    if any(name not in {"frame", *inputs} for name in (i.name for i in session.get_inputs())):
        raise EngineError(f"{card.path.name} is a model of several parts")

    def paint(frames: Frames) -> Frames:
        painted: Frames = session.run(["stylized"], {"frame": frames, **inputs})[0]
        return painted

    return paint
