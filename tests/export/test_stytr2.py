"""StyTr2: the network and its losses."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from torch.nn import functional

from export.common.vgg import LossNetwork
from export.families.stytr2 import train as training
from export.families.stytr2.loss import StyTr2Loss, StyTr2LossConfig, normalized, some_of_each
from export.families.stytr2.model import (
    StyTr2,
    StyTr2Config,
    interpolation_matrix,
    pooling_matrix,
    sinusoidal_encoding,
)
from tests.helpers.nets import small_vgg
from tests.helpers.stytr2 import LAYERS, TINY


def net(config: StyTr2Config = TINY) -> StyTr2:
    torch.manual_seed(0)
    return StyTr2(config).eval()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(16, 16), (48, 64), (37, 50), (17, 129)])
@pytest.mark.parametrize("picture", [(16, 16), (61, 33)])
def test_every_size_is_kept(size: tuple[int, int], picture: tuple[int, int]) -> None:
    with torch.no_grad():
        assert net()(noise(2, 3, *size), noise(1, 3, *picture)).shape == (2, 3, *size)


def test_both_pictures_count() -> None:
    photos, pictures = noise(2, 3, 32, 40), noise(2, 3, 40, 32, seed=1) ** 4
    made = net()
    with torch.no_grad():
        painted = made(photos[:1], pictures[:1])
        assert (made(photos[1:], pictures[:1]) - painted).abs().max() > 0.01
        assert (made(photos[:1], pictures[1:]) - painted).abs().max() > 1e-4
        assert (made(photos[:1], 1 - pictures[:1]) - painted).abs().max() > 0.01


def test_each_frame_of_a_batch_in_a_style_of_its_own() -> None:
    photos, pictures = noise(2, 3, 32, 40), noise(2, 3, 40, 32, seed=1)
    made = net()
    with torch.no_grad():
        together = made(photos, pictures)
        apart = torch.cat([made(photos[i : i + 1], pictures[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
        in_one = made(photos, pictures[:1])
    torch.testing.assert_close(in_one[:1], together[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (18, 18), (17, 40), (36, 54), (135, 240)])
def test_pooling_and_interpolation_are_pytorchs(height: int, width: int) -> None:
    x = noise(2, 3, height, width)
    pooled = pooling_matrix(height, x) @ x @ pooling_matrix(width, x).T
    torch.testing.assert_close(pooled, functional.adaptive_avg_pool2d(x, 18))
    large = interpolation_matrix(height, x) @ pooled @ interpolation_matrix(width, x).T
    expected = functional.interpolate(pooled, (height, width), mode="bilinear")
    torch.testing.assert_close(large, expected, rtol=1e-4, atol=1e-5)


def test_the_content_decides_where_it_is_whatever_its_resolution() -> None:
    """Equation 3 gives equal encodings at two resolutions; a sinusoidal encoding does not."""
    made = net()
    small = noise(1, 32, 18, 18)
    large = functional.interpolate(small, scale_factor=3.0, mode="nearest")
    with torch.no_grad():
        encoded, of_large = (made.content_aware_encoding(x) for x in (small, large))
    expected = functional.interpolate(encoded, scale_factor=3.0, mode="bilinear")
    torch.testing.assert_close(of_large, expected, rtol=1e-4, atol=1e-5)
    sines, of_large = (sinusoidal_encoding(x) for x in (small, large))
    expected = functional.interpolate(sines, scale_factor=3.0, mode="bilinear")
    assert (of_large - expected).abs().mean() > 0.2


def test_sinusoidal_encoding_tells_every_place() -> None:
    places = sinusoidal_encoding(noise(1, 32, 9, 14)).flatten(2)[0].T
    assert torch.pdist(places).min() > 0.1
    with torch.no_grad():
        photo, picture = noise(1, 3, 32, 40), noise(1, 3, 32, 32)
        painted = net(replace(TINY, encoding="sinusoidal"))(photo, picture)
    assert (painted - net()(photo, picture)).abs().max() > 1e-3


@pytest.mark.parametrize("number", range(4))
def test_each_attention_of_the_decoder_is_equation_5(number: int) -> None:
    """Each attention is compared with its definition."""
    made = net()
    layer = made.decoder[number // 2]
    attention = (layer.first, layer.second)[number % 2]
    seen = {}
    attention.register_forward_hook(lambda _m, inputs, output: seen.update(x=inputs[0], y=output))
    made.style_encoder[-1].register_forward_hook(lambda _m, _i, output: seen.update(style=output))
    with torch.no_grad():
        made(noise(1, 3, 32, 32), noise(1, 3, 40, 24, seed=1))
        queries = attention.query(seen["x"])[0]
        keys, values = attention.key(seen["style"])[0], attention.value(seen["style"])[0]
        heads = []
        for first in range(0, TINY.width, 8):
            of_head = slice(first, first + 8)
            weights = torch.softmax(queries[:, of_head] @ keys[:, of_head].T / 8**0.5, dim=-1)
            heads.append(weights @ values[:, of_head])
        expected = attention.out(torch.cat(heads, dim=-1))
    torch.testing.assert_close(seen["y"][0], expected, rtol=1e-4, atol=1e-5)


def test_places_count_in_the_encoder_and_in_the_decoder() -> None:
    made = net()
    with torch.no_grad():
        keys, values = made.style_of(noise(1, 3, 32, 32))
        content, position = made.content_of(noise(1, 3, 32, 40))
        painted = made.decode(content, position, keys, values)
        assert (made.decode(content, 0 * position, keys, values) - painted).abs().max() > 1e-3
        made.encoding.weight *= 0
        assert (made.content_of(noise(1, 3, 32, 40))[0] - content).abs().max() > 1e-3


def test_a_step_paints_each_in_another_style_and_some_in_their_own() -> None:
    made = net()
    content, style = noise(5, 3, 24, 24), noise(5, 3, 24, 24, seed=1)
    with torch.no_grad():
        painted, repainted = training._painted(made, content, style)
        torch.testing.assert_close(painted, made(content, style), rtol=1e-4, atol=1e-5)
        own = some_of_each(content, style)
        torch.testing.assert_close(repainted, made(own, own), rtol=1e-4, atol=1e-5)
    assert torch.equal(own, torch.cat([content[:2], style[3:]]))


def test_losses_are_equations_9_to_12() -> None:
    config = StyTr2LossConfig(content_layers=LAYERS, style_layers=LAYERS, balanced=False)
    network = LossNetwork(small_vgg(), LAYERS, padding="reflect")
    painted, content, style = (noise(2, 3, 24, 24, seed=seed) for seed in range(3))
    repainted = noise(2, 3, 24, 24, seed=4)
    originals = torch.stack([content[0], style[1]])
    terms = StyTr2Loss(config, network)(painted, repainted, content, style)
    seen, of_content, of_style, again, wanted = (
        network(x) for x in (painted, content, style, repainted, originals)
    )

    def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).square().mean()

    expected = dict.fromkeys(terms, 0.0)
    for layer in LAYERS:
        x, c, s = seen[layer], of_content[layer], of_style[layer]
        expected["content"] += 10 / 2 * distance(normalized(x), normalized(c)).item()
        for statistic in (torch.mean, lambda y, dim: (y.var(dim, unbiased=False) + 1e-5).sqrt()):
            expected["style"] += 7 / 2 * distance(statistic(x, (2, 3)), statistic(s, (2, 3))).item()
        expected["feature_identity"] += 2 * 1 / 2 * distance(again[layer], wanted[layer]).item()
    expected["identity"] = 2 * 50 * distance(repainted, originals).item()
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-4)
    features = normalized(seen["relu2_1"])
    torch.testing.assert_close(features.mean((2, 3)), torch.zeros(2, 8), rtol=0, atol=1e-5)


def test_balanced_losses_do_not_depend_on_the_scale_of_features() -> None:
    config = StyTr2LossConfig(content_layers=LAYERS, style_layers=LAYERS)
    weights = small_vgg()
    scaled = {name: 10 * value if "conv1_1" in name else value for name, value in weights.items()}
    scaled |= {name: 10 * value for name, value in weights.items() if name.endswith("bias")}
    scaled["conv0.bias"] = weights["conv0.bias"]
    pictures = [noise(2, 3, 24, 24, seed=seed) for seed in range(4)]
    terms, of_scaled = (
        StyTr2Loss(config, LossNetwork(w, LAYERS, padding="reflect"))(*pictures)
        for w in (weights, scaled)
    )
    for name, term in terms.items():
        assert of_scaled[name].item() == pytest.approx(term.item(), rel=1e-2), name


def test_covariances_see_which_channels_go_together() -> None:
    style, painted = noise(2, 3, 24, 24), noise(2, 3, 24, 24, seed=1)
    features = {LAYERS[0]: noise(2, 4, 9, 9)}
    swapped = features[LAYERS[0]].clone()
    swapped[:, 0] = swapped[:, 0].flip(1)  # same mean and deviation, other places

    def network(rgb: torch.Tensor) -> dict[str, torch.Tensor]:
        return {LAYERS[0]: swapped} if rgb is painted else features

    def of_style(config: StyTr2LossConfig) -> float:
        return StyTr2Loss(config, network)(painted, style, style, style)["style"].item()

    config = StyTr2LossConfig(content_layers=LAYERS[:1], style_layers=LAYERS[:1])
    assert of_style(config) < 1e-9
    assert of_style(replace(config, covariances=True)) > 0.001
