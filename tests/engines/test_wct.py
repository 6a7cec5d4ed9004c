"""Whitening and coloring: the transforms, the graph, and the state kept between frames."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

torch = pytest.importorskip("torch")

from engines import (
    Engine,
    EngineError,
    open_engine,
    open_part,
    read_card,
    style_of,
)
from engines.wct import transform as wct_transform
from engines.wct.engine import FOLLOWED, NEW_SCENE
from engines.wct.transform import Statistics, coloring, in_regions, whitening
from export.families.wct.compact_model import CHANNELS, compact_autoencoder
from export.families.wct.model import LEVELS as ALL_LEVELS
from export.families.wct.model import LevelGraph, VggAutoencoder, statistics
from export.families.wct.onnx_file import write_levels
from tests.helpers.nets import vgg_to_relu5_1

pytestmark = pytest.mark.slow

BACKENDS = ("openvino", "onnxruntime")
LEVELS = ("relu2_1", "relu1_1")


@pytest.fixture
def engine(wct_path: Path) -> Iterator[Engine]:
    with open_engine(wct_path, "openvino", "cpu", "fp32") as engine:
        yield engine


def picture(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Return a frame (1, H, W, 3) of large spots in random colors."""
    random = np.random.default_rng(seed)
    spots = random.integers(0, 256, (1, height // 8, width // 8, 3), np.uint8)
    return spots.repeat(8, axis=1).repeat(8, axis=2)


def test_whitened_and_colored_features_have_the_statistics_of_the_style(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wct_transform, "FLOOR", 1e-4)
    random = np.random.default_rng(0)
    content = random.normal(size=(6, 6)) @ random.normal(size=(6, 500)) + 3
    style = random.normal(size=(6, 6)) @ random.normal(size=(6, 400)) - 2
    transform = coloring(np.cov(style)) @ whitening(np.cov(content))
    colored = transform @ (content - content.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(np.cov(colored), np.cov(style), rtol=0.01, atol=0.02)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_features_without_variance_are_not_blown_up(rank: int) -> None:
    random = np.random.default_rng(0)
    factors = random.normal(size=(8, rank))
    covariance = factors @ factors.T
    white = whitening(covariance) @ covariance @ whitening(covariance)
    assert np.isfinite(white).all()
    assert np.linalg.eigvalsh(white).max() <= 1 + 1e-9  # whitening never amplifies beyond 1
    assert np.linalg.matrix_rank(white, tol=0.5) == rank


def test_transforms_leave_the_other_cores_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = np.linalg.eigh, []

    def threads() -> set[int]:
        """Return the thread counts of numpy's BLAS, without those of other libraries."""
        blas = (pool for pool in threadpool_info() if pool["user_api"] == "blas")
        return {pool["num_threads"] for pool in blas if "numpy" in pool["filepath"]}

    def watched(matrix: np.ndarray) -> Any:
        seen.append(threads())
        return real(matrix)

    monkeypatch.setattr(np.linalg, "eigh", watched)
    with threadpool_limits(2, "blas"):
        whitening(np.eye(3))
        coloring(np.eye(3))
        assert threads() == {2}
    assert seen == [{1}, {1}]


def test_statistics_are_those_of_each_region() -> None:
    chance = torch.Generator().manual_seed(0)
    features = torch.randn(2, 40, 5, generator=chance) + 7
    parts = torch.zeros(2, 40)
    parts[0, :15] = 1
    parts[1, 15:] = 1
    mean, covariance = statistics(features, parts)
    for region, places in enumerate((slice(15), slice(15, None))):
        flat = features[:, places].reshape(-1, 5).T
        torch.testing.assert_close(mean[region], flat.mean(dim=1))
        torch.testing.assert_close(covariance[region], torch.cov(flat, correction=0))


@pytest.mark.parametrize("size", [(48, 64), (37, 51), (16, 16)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_each_part_computes_what_pytorch_does(
    wct_path: Path, wct_graphs: dict[str, LevelGraph], backend: str, size: tuple[int, int]
) -> None:
    frames = picture(1, 56, 72)[:, : size[0], : size[1]].copy()
    for level, graph in wct_graphs.items():
        channels = graph.net.channels
        chance = torch.Generator().manual_seed(0)
        style = {
            "transform": torch.randn(2, channels, channels, generator=chance) / channels**0.5,
            "center": torch.randn(2, channels, generator=chance),
            "shift": torch.randn(2, channels, generator=chance),
            "masks": torch.rand(2, 3, 4, generator=chance),
        }
        with torch.no_grad():
            expected = graph(torch.from_numpy(frames), *style.values())
        with open_part(wct_path, level, backend, "cpu", "fp32") as part:
            arrays = {name: tensor.numpy() for name, tensor in style.items()}
            got = part.run(frames, arrays)
        assert got["stylized"].shape == frames.shape
        difference = got["stylized"].astype(int) - expected[0].numpy()
        assert np.abs(difference).mean() < 0.5  # the file's weights are in half precision
        for name, wanted in zip(("content_mean", "content_covariance"), expected[1:], strict=True):
            np.testing.assert_allclose(got[name], wanted.numpy(), rtol=0.02, atol=0.01)


@pytest.mark.parametrize("levels", [LEVELS, LEVELS[:1]])
def test_painting_changes_with_the_picture_and_with_alpha(
    engine: Engine, levels: tuple[str, ...]
) -> None:
    frames = picture(1)
    engine.prepare(*frames.shape[1:3])

    def painted(seed: int, alpha: float) -> np.ndarray:
        engine.reset_state()
        return engine.paint(frames, style_of(engine.card, picture(seed), levels, alpha)).astype(int)

    assert painted(2, 1.0).shape == frames.shape
    assert np.abs(painted(2, 1.0) - painted(3, 1.0)).mean() > 1
    assert np.abs(painted(2, 1.0) - painted(2, 0.0)).mean() > 1
    assert np.abs(painted(2, 0.0) - painted(3, 0.0)).max() <= 1  # alpha is 0


def test_painted_in_its_own_style_a_frame_is_what_the_decoder_makes_of_it(engine: Engine) -> None:
    frames = picture(1)
    own = engine.paint(frames, style_of(engine.card, frames, LEVELS[:1], 1.0)).astype(int)
    engine.reset_state()
    untouched = engine.paint(frames, style_of(engine.card, frames, LEVELS[:1], 0.0)).astype(int)
    engine.reset_state()
    other = engine.paint(frames, style_of(engine.card, picture(2), LEVELS[:1], 1.0)).astype(int)
    # They are not equal, because the floor added to the variances has an effect.
    assert np.abs(own - untouched).mean() < 0.4 * np.abs(other - untouched).mean()


def test_a_mix_is_between(engine: Engine) -> None:
    frames = picture(1)
    styles = [style_of(engine.card, picture(seed), LEVELS[:1]) for seed in (2, 3)]
    mix = {name: (styles[0][name] + styles[1][name]) / 2 for name in styles[0]}
    painted = []
    for style in (styles[0], mix, styles[1]):
        engine.reset_state()
        painted.append(engine.paint(frames, style).astype(float))
    apart = np.abs(painted[0] - painted[2]).mean()
    assert np.abs(painted[0] - painted[1]).mean() < apart
    assert np.abs(painted[1] - painted[2]).mean() < apart


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_frame_stays_flat(engine: Engine, level: int) -> None:
    frames = np.full((1, 48, 64, 3), level, np.uint8)
    painted = engine.paint(frames, style_of(engine.card, picture(2), LEVELS)).astype(int)
    assert np.ptp(painted, axis=(1, 2)).max() <= 2


def test_a_flat_picture_makes_a_flat_painting(engine: Engine) -> None:
    flat = np.full((1, 48, 64, 3), 90, np.uint8)
    painted = engine.paint(picture(1), style_of(engine.card, flat, LEVELS[:1])).astype(int)
    assert np.ptp(painted, axis=(1, 2)).max() <= 2


def test_a_new_scene_is_painted_as_if_nothing_had_been_before(engine: Engine) -> None:
    style = style_of(engine.card, picture(2), LEVELS)
    dark, bright = picture(1) // 4, 255 - picture(5) // 8
    engine.reset_state()
    alone = engine.paint(bright, style)
    engine.reset_state()
    for _ in range(5):
        engine.paint(dark, style)
    np.testing.assert_array_equal(engine.paint(bright, style), alone)


def test_a_small_change_is_followed_slowly(engine: Engine) -> None:
    """Flicker in the input's statistics hardly changes the transform."""
    style = style_of(engine.card, picture(2), LEVELS[:1])
    frame = picture(1)
    brighter = np.clip(frame.astype(int) + 12, 0, 255).astype(np.uint8)
    first = engine.paint(frame, style).astype(int)
    second = engine.paint(brighter, style).astype(int)
    engine.reset_state()
    alone = engine.paint(brighter, style).astype(int)
    # Alone, the frame's brightness is whitened away; after another frame it partly remains.
    assert np.abs(second - first).mean() > np.abs(alone - first).mean()


def test_statistics_say_when_a_scene_is_new() -> None:
    random = np.random.default_rng(0)

    def seen(samples: np.ndarray) -> Statistics:
        return Statistics(samples.mean(axis=1)[None], np.cov(samples)[None])

    scene = random.normal(size=(6, 500))
    assert seen(scene).change(seen(scene + 0.05 * random.normal(size=scene.shape))) < FOLLOWED
    assert seen(scene).change(seen(3 * scene + 2)) > NEW_SCENE


def test_regions_are_painted_each_in_its_style(engine: Engine) -> None:
    frames = picture(1, 64, 96)
    styles = [style_of(engine.card, picture(seed), LEVELS[:1]) for seed in (2, 3)]
    left = np.zeros((1, 8, 12), np.float32)
    left[..., :6] = 1
    together = engine.paint(frames, in_regions(styles, np.concatenate([left, 1 - left])))
    # Each half is close to its painting alone, but differs, because the whitening differs.
    for half, style in ((np.s_[:, :, :32], styles[0]), (np.s_[:, :, 64:], styles[1])):
        engine.reset_state()
        alone = engine.paint(frames[half].copy(), style)[:, 8:-8, 8:-8].astype(int)
        engine.reset_state()
        other = styles[1] if style is styles[0] else styles[0]
        wrong = engine.paint(frames[half].copy(), other)[:, 8:-8, 8:-8].astype(int)
        here = together[half][:, 8:-8, 8:-8]
        assert np.abs(here - alone).mean() < np.abs(here - wrong).mean()


def test_two_regions_of_one_style_are_one(engine: Engine) -> None:
    """A mask that covers everything paints like no regions at all."""
    frames = picture(1)
    style = style_of(engine.card, picture(2), LEVELS)
    masks = np.stack([np.ones((3, 4)), np.zeros((3, 4))]).astype(np.float32)
    painted = engine.paint(frames, in_regions([style, style], masks)).astype(int)
    engine.reset_state()
    assert np.abs(painted - engine.paint(frames, style)).max() <= 1


def test_errors_are_sentences(engine: Engine, wct_path: Path, inverter_path: Path) -> None:
    card = read_card(wct_path)
    with pytest.raises(EngineError, match=r"no level relu5_1; it has relu1_1, relu2_1"):
        style_of(card, picture(1), ("relu5_1",))
    with pytest.raises(EngineError, match="alpha is from 0 to 1"):
        style_of(card, picture(1), LEVELS, 1.5)
    with pytest.raises(EngineError, match="in styles of its own"):
        style_of(read_card(inverter_path), picture(1))
    with pytest.raises(EngineError, match="give one"):
        engine.paint(picture(1))
    with pytest.raises(EngineError, match="style inputs lack"):
        engine.paint(picture(1), {"relu1_1/mean": np.zeros((1, 16), np.float32)})
    with pytest.raises(EngineError, match="no part relu9_1"):
        open_part(wct_path, "relu9_1")
    with pytest.raises(EngineError, match="different levels"):
        in_regions([style_of(card, picture(1), (level,)) for level in LEVELS], np.ones((2, 1, 1)))
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.paint(picture(1), style_of(card, picture(2), LEVELS[1:]))


@pytest.mark.parametrize("level", ALL_LEVELS)
def test_features_have_the_strides_and_channels_of_the_level(level: str) -> None:
    net = compact_autoencoder(level)
    rgb = torch.rand(2, 3, 64, 96)
    number = ALL_LEVELS.index(level)
    features = net.features(rgb)
    assert features.shape[1:] == (CHANNELS[number], 64 >> number, 96 >> number)
    assert net.picture(features).shape == rgb.shape


def test_a_vggs_decoder_is_the_mirror_image_of_its_encoder() -> None:
    encoder = vgg_to_relu5_1()
    rgb = torch.rand(2, 3, 64, 96)
    for number, level in enumerate(ALL_LEVELS):
        net = VggAutoencoder(encoder, level)
        features = net.features(rgb)
        assert features.shape[1:] == (encoder.channels(level), 64 >> number, 96 >> number)
        assert net.picture(features).shape == rgb.shape
        assert len(net.decoder.convolutions) == [1, 3, 5, 9, 13][number]


def test_the_levels_of_a_vgg_share_its_weights_in_the_file(tmp_path: Path) -> None:
    encoder = vgg_to_relu5_1()
    graphs = {level: LevelGraph(VggAutoencoder(encoder, level)).eval() for level in LEVELS}
    path = tmp_path / "vgg.onnx"
    write_levels(graphs, path, {}, lambda _trial: {})
    names = [tensor.name for tensor in onnx.load(path).graph.initializer]
    assert sum(name.endswith("encoder.convolutions.conv1_1.weight") for name in names) == 1
    frames = picture(1)
    for level, graph in graphs.items():
        nothing = torch.eye(graph.net.channels)[None], torch.zeros(1, graph.net.channels)
        inputs = (nothing[0], nothing[1], nothing[1], torch.ones(1, 1, 1))
        names = ("transform", "center", "shift", "masks")
        with torch.no_grad():
            expected = graph(torch.from_numpy(frames), *inputs)[0].numpy().astype(int)
        with open_part(path, level, "openvino", "cpu", "fp32") as part:
            arrays = {n: tensor.numpy() for n, tensor in zip(names, inputs, strict=True)}
            assert np.abs(part.paint(frames, arrays) - expected).mean() < 0.5
