"""The perceptual losses, compared with their equations written out in NumPy."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file
from torch import Tensor, nn

from export.common.losses import (
    LossConfig,
    PerceptualLoss,
    chosen,
    feature_reconstruction_loss,
    gram_matrix,
    joined,
    lattice,
    mean_covariance,
    normalized_difference,
    style_reconstruction_loss,
    total_variation,
)
from export.common.vgg import LossNetwork, load_loss_network, load_loss_networks
from export.errors import ExportError
from tests.helpers.nets import small_vgg

LAYERS = ("relu1_1", "relu2_1")


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_feature_reconstruction_is_equation_2() -> None:
    a, b = random(2, 3, 4, 5), random(2, 3, 4, 5).flip(0)
    expected = [((a[n] - b[n]).numpy() ** 2).sum() / (3 * 4 * 5) for n in range(2)]
    assert feature_reconstruction_loss(a, b).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_gram_matrix_is_equation_3() -> None:
    features = random(2, 3, 4, 5)
    gram = gram_matrix(features)
    for n in range(2):
        psi = features[n].numpy().reshape(3, 20)
        np.testing.assert_allclose(gram[n].numpy(), psi @ psi.T / (3 * 4 * 5), rtol=1e-5)


def test_gram_matrix_is_covariance_plus_mean_squared() -> None:
    features = random(2, 3, 4, 5) + 1
    mean, covariance = mean_covariance(features)
    together = covariance + mean.transpose(1, 2) @ mean / 3
    torch.testing.assert_close(gram_matrix(features), together)


def test_style_reconstruction_is_equation_4() -> None:
    a, b = random(2, 3, 3), random(2, 3, 3).flip(0)
    expected = [np.linalg.norm((a[n] - b[n]).numpy(), "fro") ** 2 for n in range(2)]
    np.testing.assert_allclose(style_reconstruction_loss(a, b).numpy(), expected, rtol=1e-5)


def test_total_variation() -> None:
    ramp = torch.arange(5.0).expand(1, 3, 4, 5)  # rises by 1 along the width
    assert total_variation(ramp).item() == 1.0


def test_the_gradient_of_mean_and_covariance_is_the_equations() -> None:
    features = random(2, 3, 4, 5).requires_grad_()
    flat = features.flatten(2)
    mean = flat.mean(dim=2, keepdim=True)
    written_out = mean.transpose(1, 2), (flat - mean) @ (flat - mean).transpose(1, 2) / (3 * 20)
    towards = [random(2, 1, 3), random(2, 3, 3)]
    (wanted,) = torch.autograd.grad(written_out, features, towards)
    (gradient,) = torch.autograd.grad(mean_covariance(features), features, towards)
    torch.testing.assert_close(gradient, wanted)


def test_normalized_content_is_free_in_color_and_contrast_and_leaves_out_dead_channels() -> None:
    wanted = random(2, 3, 8, 8)
    assert normalized_difference(3 * wanted + 1, wanted).item() == pytest.approx(0, abs=1e-3)
    assert normalized_difference(wanted.flip(2), wanted).item() > 1
    wanted[:, 1] = 0.5
    other = wanted.clone()
    other[:, 1] = random(2, 8, 8)
    assert normalized_difference(other, wanted).item() == 0


def test_a_lattice_is_told_from_texture() -> None:
    texture = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    repeated = texture[..., :4, :4].repeat(1, 1, 48, 48)
    smooth = torch.linspace(0, 1, 192).expand(1, 3, 192, 192)
    assert lattice(texture) < 0.02
    assert lattice(smooth) < 0.02
    assert lattice(0.5 + 0.02 * repeated) > 0.5  # a faint lattice in a flat area
    assert lattice(repeated[..., :-1, :-2]) > 0.5


def test_the_preset_paper_is_section_4_1_and_its_supplement() -> None:
    config = LossConfig.paper()
    assert config.network == ("vgg16",)
    assert config.content_layers == ("relu3_3",)
    assert config.style_layers == ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    assert (config.content_weight, config.style_weight) == (1.0, 5.0)
    assert config.total_variation_weight == 1e-6
    assert config.style_statistics == "gram"
    assert not config.balanced
    assert not config.normalized_content
    assert config.coarse_style_weight == config.range_weight == config.lattice_weight == 0


@pytest.mark.parametrize("config", [LossConfig(), LossConfig.paper()])
def test_the_picture_itself_has_no_content_loss_and_the_style_no_style_loss(
    config: LossConfig,
) -> None:
    style = torch.rand(1, 3, 32, 32)
    loss = _loss(config, style)
    terms = loss(style, style)
    assert terms["content"].item() == 0
    for name, term in terms.items():
        assert "style" not in name or term.item() == pytest.approx(0, abs=1e-8)
    terms = loss(torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32))
    assert terms["content"].item() > 0
    assert terms["style"].item() > 0


def test_weights_scale_their_terms() -> None:
    painted, content, style = torch.rand(3, 1, 3, 32, 32).unbind(0)
    names = [field.name for field in fields(LossConfig) if field.name.endswith("_weight")]
    one = _loss(LossConfig(**dict.fromkeys(names, 1.0)), style)
    several = dict(zip(names, (2.0, 3.0, 4.0, 5.0, 6.0, 7.0), strict=True))
    before, after = (
        one(2 * painted, content),
        _loss(LossConfig(**several), style)(2 * painted, content),
    )
    for name, factor in several.items():
        term = name.removesuffix("_weight")
        assert after[term].item() == pytest.approx(factor * before[term].item(), rel=1e-5)
        assert after[term].item() > 0


def test_a_weight_of_zero_leaves_the_term_out() -> None:
    terms = _loss(LossConfig.paper(), torch.rand(1, 3, 32, 32))(*torch.rand(2, 1, 3, 32, 32))
    assert terms.keys() == {"content", "style", "total_variation"}


def test_balanced_terms_do_not_depend_on_the_scale_of_the_features() -> None:
    painted, content, style = torch.rand(3, 1, 3, 32, 32).unbind(0)
    weights = small_vgg()
    before = _loss(LossConfig(), style, weights)(painted, content)
    weights["conv2_1.weight"] *= 10  # the last layer, so that only its features are scaled
    weights["conv2_1.bias"] *= 10
    after = _loss(LossConfig(), style, weights)(painted, content)
    for name in ("content", "style", "coarse_style"):
        assert after[name].item() == pytest.approx(before[name].item(), rel=1e-4)


def test_each_picture_is_held_against_its_own_style_by_its_weight() -> None:
    painted, content, first, second = torch.rand(4, 1, 3, 32, 32).unbind(0)
    network = LossNetwork(small_vgg(), LAYERS, padding="reflect")
    loss = PerceptualLoss(
        replace(LossConfig(), content_layers=("relu2_1",), style_layers=LAYERS), network
    )
    table = joined([loss.statistics(style) for style in (first, second)])
    weights = torch.tensor([1.0, 2.0])
    batch = torch.cat([painted, painted]), torch.cat([content, content])
    together = loss(*batch, chosen(table, torch.tensor([0, 1])), weights)
    apart = [
        _loss(LossConfig(style_weight=1.0), style)(painted, content)["style"].item()
        for style in (first, second)
    ]
    assert together.style_of_each.tolist() == pytest.approx(apart, rel=1e-5)
    expected = LossConfig().style_weight * (apart[0] + 2 * apart[1]) / 2
    assert together.terms["style"].item() == pytest.approx(expected, rel=1e-5)


def _loss(
    config: LossConfig, style: Tensor, weights: dict[str, Tensor] | None = None
) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """Return the loss for one style, as a function of the painting and the content."""
    config = replace(config, content_layers=("relu2_1",), style_layers=LAYERS)
    network = LossNetwork(weights or small_vgg(), LAYERS, padding="reflect")
    loss = PerceptualLoss(config, network)
    return lambda painted, content: loss(painted, content, loss.statistics(style)).terms


def test_networks_are_combined_by_layers(tmp_path: Path) -> None:
    weights = small_vgg()
    save_file(weights, tmp_path / "one.safetensors")
    save_file({name: 2 * values for name, values in weights.items()}, tmp_path / "two.safetensors")
    one, two = (str(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    layers = ("relu1_1", "relu1_2", "relu2_1")
    rgb = torch.rand(1, 3, 16, 16)
    plain, doubled = (load_loss_networks([source], layers)(rgb) for source in (one, two))
    combined = load_loss_networks([one, f"{two}:relu1_1,relu1_2"], layers)
    features = combined(rgb)
    for layer in layers:
        owner = plain if layer == "relu2_1" else doubled
        torch.testing.assert_close(features[layer], owner[layer])
    assert combined(rgb, ("relu2_1",)).keys() == {"relu2_1"}
    with pytest.raises(ExportError, match="no loss network is given for relu2_1"):
        load_loss_networks([f"{two}:relu1_1,relu1_2"], layers)


def test_loss_network_computes_vgg() -> None:
    weights = small_vgg()
    network = LossNetwork(weights, ("relu1_2", "relu2_1"), padding="constant")
    rgb = torch.rand(2, 3, 16, 16)
    x = nn.functional.conv2d(rgb, weights["conv0.weight"], weights["conv0.bias"])
    for name in ("conv1_1", "conv1_2"):
        x = nn.functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)
        x = x.relu()
    features = network(rgb)
    torch.testing.assert_close(features["relu1_2"], x)
    x = nn.functional.max_pool2d(x, 2)
    x = nn.functional.conv2d(x, weights["conv2_1.weight"], weights["conv2_1.bias"], padding=1)
    torch.testing.assert_close(features["relu2_1"], x.relu())


def test_only_the_layers_asked_for_are_computed() -> None:
    network = LossNetwork(small_vgg(), LAYERS, padding="reflect")
    assert set(network(torch.rand(1, 3, 16, 16), ("relu1_1",))) == {"relu1_1"}


def test_loss_network_does_not_learn() -> None:
    network = LossNetwork(small_vgg(), LAYERS, padding="reflect")
    assert not any(p.requires_grad for p in network.parameters())


def test_unknown_layer_lists_the_known() -> None:
    with pytest.raises(ExportError, match=r"no layer relu9_1; it has relu1_1, relu1_2, relu2_1"):
        LossNetwork(small_vgg(), ("relu9_1",), padding="reflect")


def test_unknown_loss_network_says_what_there_is() -> None:
    with pytest.raises(ExportError, match=r"give vgg16 or vgg19.*or a safetensors file"):
        load_loss_network("alexnet", LAYERS)


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_torchvisions_layers_get_the_papers_names(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uses random weights, because tests do not download torchvision's."""
    import torchvision.models

    net = torchvision.models.get_model(name, weights=None)
    monkeypatch.setattr(torchvision.models, "get_model", lambda _name, weights: net)
    network = load_loss_network(name, ("relu2_2", "relu4_1"))
    rgb = torch.rand(1, 3, 32, 32)
    normalized = (rgb - torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).reshape(3, 1, 1)
    features = network(rgb)
    relu2_2, relu4_1 = (8, 18) if name == "vgg16" else (8, 20)  # in torchvision's numbering
    with torch.no_grad():
        torch.testing.assert_close(features["relu2_2"], net.features[: relu2_2 + 1](normalized))
        torch.testing.assert_close(features["relu4_1"], net.features[: relu4_1 + 1](normalized))
