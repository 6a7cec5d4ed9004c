"""The nets of all levels while they learn, and the order in which they learn."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from engines import read_card
from export.common.losses import Losses, PerceptualLoss
from export.common.vgg import LossNetwork, load_loss_network
from export.errors import ExportError
from export.families.wct.compact_model import compact_autoencoder
from export.families.wct.config import WctConfig
from export.families.wct.model import LEVELS, Autoencoder, VggAutoencoder, number
from export.families.wct.transfer import transferred

OWN_SHARE = 0.4
"""Fraction of a deeper decoder's steps in which its own layers learn alone.

When they learned with the others from the beginning, relu4_1's decoder made brown blurs of
everything.
"""


@dataclass(frozen=True)
class Phase:
    """A part of a training, `steps` long, in which the net of one level learns.

    With `until`, only the decoder layers before that level learn. If `styled`, only the
    decoder learns, to paint colored features. A VGG encoder never learns.
    """

    level: str
    steps: int
    until: str | None = None
    styled: bool = False
    begins: bool = False
    """Whether the level starts here, with the weights of the level before."""

    def __str__(self) -> str:
        if self.until is not None:
            return f"{self.level} to {self.until}"
        return f"{self.level} styled" if self.styled else self.level


class Autoencoders(nn.Module):
    """The nets of `levels`; as a module, it computes the losses of what learns."""

    def __init__(self, config: WctConfig) -> None:
        super().__init__()
        if not config.levels or set(config.levels) - set(LEVELS):
            raise ExportError(f"--levels must be some of {', '.join(LEVELS)}, got {config.levels}")
        if set(config.learned) - set(config.levels):
            raise ExportError(f"--learned must be some of {config.levels}, got {config.learned}")
        self.feature_weight = config.feature_weight
        self.compact = not config.encoder
        if self.compact:
            nets: list[Autoencoder] = [compact_autoencoder(level) for level in config.levels]
        else:
            encoder = load_loss_network(config.encoder, config.levels)
            nets = [VggAutoencoder(encoder, level) for level in config.levels]
        self.nets = nn.ModuleDict({net.level: net for net in nets})
        # From a compact encoder's features to the teacher's; not exported.
        self.projections = nn.ModuleDict()

    def net(self, level: str) -> Autoencoder:
        """Return the net of `level`."""
        net = self.nets[level]
        assert isinstance(net, Autoencoder)
        return net

    def add_projections(self, teachers: Mapping[str, LossNetwork]) -> None:
        """Add a linear map from each level's features to those of its teacher."""
        for level, teacher in teachers.items():
            self.projections[level] = nn.Conv2d(
                self.net(level).channels, teacher.channels(level), 1
            )

    def forward(
        self,
        rgb: Tensor,
        phase: Phase,
        teacher_features: Tensor | None = None,
        style: Tensor | None = None,
        transfer: PerceptualLoss | None = None,
    ) -> dict[str, Tensor]:
        """Return the loss terms of pictures (N, 3, H, W), RGB in 0..1, in a phase.

        By default these are the terms of equation 1, pixels and features. If the phase has `until`,
        the only term is how far the decoder's features of that level are from the encoder's. With
        `teacher_features`, the encoder learns too, and a term says how far it is from them. With
        `style`, pictures of the same shape, the terms are those of `transfer`, and pixels.
        """
        net = self.net(phase.level)
        if style is not None and transfer is not None:
            with torch.no_grad():
                features = net.features(rgb)
                colored = transferred(features, net.features(style))
            again = {"pixels": _relative(net.picture(features).float(), rgb)}
            targets = transfer.statistics(style)
            losses: Losses = transfer(net.picture(colored).float(), rgb, targets)
            return again | losses.terms
        if phase.until is not None:
            assert isinstance(net, VggAutoencoder)
            with torch.no_grad():
                wanted = net.encoder(rgb, (phase.level, phase.until))
            decoded = net.decoder(wanted[phase.level], phase.until)
            return {"features": _relative(decoded.float(), wanted[phase.until].float())}
        with torch.set_grad_enabled(teacher_features is not None):
            features = net.features(rgb)
        decoded = net.picture(features).float()
        wanted = features.detach().float()
        terms = {
            "pixels": _relative(decoded, rgb),
            "features": self.feature_weight * _relative(net.features(decoded).float(), wanted),
        }
        if teacher_features is not None:
            # Scaled to power 1: some features are in the hundreds, far from a new projection's.
            unit = teacher_features.float() / teacher_features.float().square().mean().sqrt()
            terms["teacher_features"] = (
                (self.projections[phase.level](features).float() - unit).square().mean()
            )
        return terms

    def start_level(self, level: str) -> None:
        """Start the net of `level` with the weights that the next shallower level has too."""
        shallower = self.shallower(level)
        if shallower is None:
            return
        net = self.net(level)
        own = net.state_dict()
        known = self.nets[shallower].state_dict()
        alike = {n: value for n, value in known.items() if n in own and value.shape == own[n].shape}
        net.load_state_dict(alike, strict=False)

    def shallower(self, level: str) -> str | None:
        """Return the deepest level that is shallower than `level`, or None."""
        return max((other for other in self.nets if other < level), default=None)

    def phases(self, config: WctConfig) -> list[Phase]:
        """Return the phases of a training in order."""
        phases = []
        learned = config.learned or config.levels
        known = known_levels(config)
        for level, steps in _shared(config.steps, learned):
            shallower = self.shallower(level)
            begins = level not in known
            if shallower is not None and not self.compact:
                own = round(OWN_SHARE * steps)
                phases.append(Phase(level, own, until=shallower, begins=begins))
                steps, begins = steps - own, False
            phases.append(Phase(level, steps, begins=begins))
        for level, steps in _shared(config.style_steps, learned):
            phases.append(Phase(level, steps, styled=True))
        return phases


def _shared(steps: int, levels: Iterable[str]) -> list[tuple[str, int]]:
    """Share `steps` among the levels in proportion to their numbers, the shallowest first."""
    levels = sorted(levels)
    shares = [0, *accumulate(number(level) for level in levels)]
    ends = [steps * share // shares[-1] for share in shares]
    return [
        (level, end - begin) for level, (begin, end) in zip(levels, pairwise(ends), strict=True)
    ]


def _relative(features: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean squared difference, divided by the power of `wanted`.

    The scale of features differs by a factor of a hundred between levels and networks.
    """
    return (features - wanted).square().mean() / wanted.square().mean().clamp(min=1e-8)


def known_levels(config: WctConfig) -> list[str]:
    """Return the levels whose weights come from the engine `start_from`."""
    if not config.start_from:
        return []
    parts = read_card(Path(config.start_from)).parts
    return [level for level in config.levels if level in parts]
