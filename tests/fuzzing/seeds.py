"""Small valid files of every kind that a command reads, to be damaged."""

from __future__ import annotations

import csv
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from av.error import FFmpegError
from onnx import TensorProto, helper
from PIL import Image

from tests.helpers.clips import Recipe, make_clip
from tests.helpers.models import CARD, write_inverter, write_tinter, write_two_styles

VIDEOS = {
    "mp4": Recipe(audio_seconds=(1,), subtitles=("text",), chapters=True),
    "mov": Recipe(codec="prores_ks", pixel_format="yuv422p10le", rotation=90),
    "mkv": Recipe(audio_seconds=(1,), audio_codec="flac", subtitles=("a",), subtitle_codec="ass"),
    "webm": Recipe(codec="libvpx-vp9", audio_seconds=(1,), audio_codec="libopus"),
    "avi": Recipe(codec="mpeg4", audio_seconds=(1,), audio_codec="libmp3lame"),
    "ts": Recipe(audio_seconds=(1,)),
    "mpg": Recipe(codec="mpeg1video", audio_seconds=(1,), audio_codec="mp2"),
    "vob": Recipe(codec="mpeg2video", audio_seconds=(1,), audio_codec="ac3"),
    "flv": Recipe(audio_seconds=(1,)),
    "3gp": Recipe(codec="h263", size=(176, 144)),
    "wmv": Recipe(codec="wmv2", audio_seconds=(1,), audio_codec="wmav2"),
    "ogv": Recipe(codec="libvpx", audio_seconds=(1,), audio_codec="libopus"),
    "mxf": Recipe(codec="mpeg2video", audio_seconds=(1,), audio_codec="pcm_s16le"),
    "nut": Recipe(codec="ffv1", audio_seconds=(1,), audio_codec="flac"),
    "gif": Recipe(codec="gif", pixel_format="rgb8"),
    "apng": Recipe(codec="apng", pixel_format="rgb24"),
    "y4m": Recipe(codec="wrapped_avframe"),
    "h264": Recipe(),
    "hevc": Recipe(codec="libx265"),
    "m2v": Recipe(codec="mpeg2video"),
    "mjpeg": Recipe(codec="mjpeg", pixel_format="yuvj420p"),
    "ivf": Recipe(codec="libsvtav1"),
    "wtv": Recipe(codec="mpeg2video", audio_seconds=(1,), audio_codec="mp2"),
    "dv": Recipe(codec="dvvideo", size=(720, 576), pts=range(3)),
}  # fmt: skip
PICTURES = ("png", "jpg", "tiff", "bmp", "webp", "gif", "avif", "jp2", "ppm", "tga")


@dataclass(frozen=True)
class Seed:
    """A valid file, and the command that reads it."""

    path: Path
    command: tuple[str, ...]
    """INPUT, OUTPUT and the names in `Material` are replaced."""
    output: str
    """The suffix of what the command writes."""

    @property
    def name(self) -> str:
        return f"{self.path.name}: {' '.join(self.command)}"


@dataclass(frozen=True)
class Material:
    """Valid files that the commands need besides the damaged one."""

    photo: Path
    clip: Path
    model: Path


def write_material(folder: Path) -> Material:
    folder.mkdir(exist_ok=True)
    material = Material(folder / "photo.png", folder / "clip.mkv", folder / "model.onnx")
    Image.fromarray(_noise(24, 32)).save(material.photo)
    make_clip(material.clip, Recipe(pts=range(3)))
    write_inverter(material.model)
    return material


def write_seeds(folder: Path) -> list[Seed]:
    """Write every seed that this FFmpeg and this Pillow can write."""
    folder.mkdir(exist_ok=True)
    return [*_videos(folder), *_pictures(folder), *_models(folder), *_training(folder)]


def _videos(folder: Path) -> list[Seed]:
    seeds = []
    for suffix, recipe in VIDEOS.items():
        path = folder / f"seed.{suffix}"
        with suppress(FFmpegError, ValueError):
            make_clip(path, recipe)
            for command, output in (
                (("video", "INPUT", "OUTPUT", "--style", "MODEL"), ".mkv"),
                (("video", "INPUT", "OUTPUT", "--style", "MODEL", "--start", "0.4"), ".mp4"),
                (("video", "CLIP", "OUTPUT", "--style", "MODEL", "--mask", "INPUT"), ".mkv"),
            ):
                seeds.append(Seed(path, command, output))
    return seeds


def _pictures(folder: Path) -> list[Seed]:
    seeds = []
    for suffix in PICTURES:
        path = folder / f"seed-picture.{suffix}"
        with suppress(KeyError, OSError):
            Image.fromarray(_noise(40, 56)).save(path)
            for command in (
                ("image", "INPUT", "OUTPUT", "--style", "MODEL"),
                ("image", "PHOTO", "OUTPUT", "--style", "MODEL", "--mask", "INPUT"),
                ("image", "PHOTO", "OUTPUT", "--style-image", "INPUT", "--levels", "1"),
                ("texture", "INPUT", "-o", "OUTPUT", "--size", "64x64", "--passes", "1"),
            ):
                seeds.append(Seed(path, command, ".png"))
    return seeds


def _models(folder: Path) -> list[Seed]:
    plain, styles, tint = (folder / f"seed-{name}.onnx" for name in ("plain", "styles", "tint"))
    write_inverter(plain)
    write_two_styles(styles)
    write_tinter(tint)
    hostile = [*_hostile_models(folder)]
    return [
        Seed(path, command, ".png")
        for path in (plain, styles, tint, *hostile)
        for command in (
            ("image", "PHOTO", "OUTPUT", "--style", "INPUT"),
            ("image", "PHOTO", "OUTPUT", "--style", "MODEL", "--mask", "INPUT"),
        )
    ]


def _hostile_models(folder: Path) -> list[Path]:
    """Write models that are valid ONNX and not what they should be."""
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, "h", "w", 3])
    stylized = helper.make_tensor_value_info("stylized", TensorProto.UINT8, [1, "h", "w", 3])
    huge = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, 2**40, 2**40, 3])
    negative = helper.make_tensor_value_info("frame", TensorProto.UINT8, [-1, -5, 0, 3])

    def node(kind: str, *inputs: str, into: str = "stylized") -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [into])

    same = [node("Identity", "frame")]
    names = ["frame", *(f"x{n}" for n in range(20_000)), "stylized"]
    chain = [node("Identity", one, into=two) for one, two in pairwise(names)]
    cycle = [
        node("Add", "frame", "b", into="a"),
        node("Identity", "a", into="b"),
        node("Cast", "b"),
    ]
    outside = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../../../../../etc/passwd")
    large = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    large.dims[0] = 2**40
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [1, 2**20, 2**20, 3])
    graphs = {
        "huge": (same, [huge], [stylized], []),
        "negative": (same, [negative], [stylized], []),
        "chain": (chain, [frame], [stylized], []),
        "cycle": (cycle, [frame], [stylized], []),
        "outside": (same, [frame], [stylized], [outside]),
        "large": (same, [frame], [stylized], [large]),
        "expand": ([node("Expand", "frame", "shape")], [frame], [stylized], [shape]),
        "unknown": ([node("NoSuchNode", "frame")], [frame], [stylized], []),
        "empty": ([], [], [], []),
        "no-output": (same, [frame], [], []),
    }
    paths = []
    for opset in (21, 1, 9999):
        for name, (nodes, inputs, outputs, weights) in graphs.items():
            graph = helper.make_graph(nodes, name, inputs, outputs, weights)
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
            helper.set_model_props(model, CARD)
            path = folder / f"seed-{name}-{opset}.onnx"
            path.write_bytes(model.SerializeToString())
            paths.append(path)
    for name, value in (
        ("card", "not json"),
        ("deep", "[" * 100_000),
        ("styles", "[]"),
        ("null", "null"),
    ):
        model = onnx.load(folder / "seed-plain.onnx")
        for entry in model.metadata_props:
            if entry.key == "styles":
                entry.value = value
        path = folder / f"seed-card-{name}.onnx"
        path.write_bytes(model.SerializeToString())
        paths.append(path)
    return paths


def _training(folder: Path) -> list[Seed]:
    """Write a table of styles and a checkpoint; without PyTorch there are none."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return []
    from export.cli import main
    from tests.helpers.nets import write_training_material

    material = folder / "training"
    material.mkdir(exist_ok=True)
    style, photos, network = write_training_material(material)
    table = folder / "seed-table.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["picture", "name", "title", "artist", "year", "licence"])
        rows.writerow([style.name, "noise", "Noise", "a test", "2026", "Apache-2.0"])
    losses = ("--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1")
    small = ("--width", "4", "--residual-blocks", "1", "--decoder-width", "4", "--crop", "32")
    train = ("train", "many-style", "--photos", str(photos), "--out", "OUTPUT", "--steps", "1",
             "--batch-size", "1", *losses, *small)  # fmt: skip
    complete = (
        *train,
        "--styles",
        str(table),
        "--pictures",
        str(material),
        "--network",
        str(network),
    )
    engine = folder / "seed-trained.onnx"
    assert main([str(engine) if word == "OUTPUT" else word for word in complete]) == 0

    def with_input(argument: Path) -> tuple[str, ...]:
        return ("export", *("INPUT" if word == str(argument) else word for word in complete))

    checkpoint = folder / "seed-trained.run" / "checkpoint.pt"
    return [
        Seed(table, with_input(table), ".onnx"),
        Seed(network, with_input(network), ".onnx"),
        Seed(engine, ("export", *complete, "--start-from", "INPUT"), ".onnx"),
        Seed(checkpoint, ("export", "onnx", "INPUT", "OUTPUT", "--photos", str(photos)), ".onnx"),
    ]


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
