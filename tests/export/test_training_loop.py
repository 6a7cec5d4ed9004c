"""The training loop that all families share, with checkpoints, scores and sheets."""

import csv
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image
from torch import nn

from export.common import (
    sheets,
    training_loop,
)
from export.common.checkpoint import optimizer_step
from export.common.evaluation import Judge, Score, keep_scores
from export.common.sheets import Sheet, save_sheet
from export.common.training_loop import LoopConfig, averaged, run_training
from export.data.style_table import StylePicture
from export.families.many_style.style_shares import StyleShares
from tests.helpers.nets import vgg_to_relu5_1


class Line:
    """A family that learns the number 3; each batch is just its own number."""

    def __init__(self) -> None:
        self.state: dict = {}
        self.net = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.net.weight)
        self.seen: list[int] = []

    def parameter_groups(self) -> list[dict]:
        return [{"params": [*self.net.parameters()], "lr": 0.1}]

    def batches(self, first: int):
        while True:
            yield first
            first += 1

    def losses(self, batch: int, step: int) -> dict[str, torch.Tensor]:
        self.seen.append(batch)
        return {"distance": (self.net(torch.ones(1, 1)) - 3).square().sum()}

    def sheet(self, net: nn.Module) -> Sheet:
        value = float(net.weight.detach())
        return Sheet(
            torch.ones(1, 3, 8, 8), [torch.zeros(1, 3, 8, 8)], [torch.full((1, 3, 8, 8), value / 3)]
        )

    def scores(self, net: nn.Module) -> dict[str, Score]:
        return {"three": Score(0.5, abs(3 - float(net.weight.detach())))}


def steps_in(path: Path) -> list[int]:
    with path.open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def test_the_folder_of_a_training_and_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, every in (("LOG", 1), ("SAVE", 4), ("SAMPLE", 2), ("EVALUATE", 5)):
        monkeypatch.setattr(training_loop, f"{name}_EVERY", every)
    config = LoopConfig(steps=20, accumulate=3, device="cpu")
    run = tmp_path / "run"
    first = Line()
    real = first.losses

    def ends(batch: int, step: int) -> dict[str, torch.Tensor]:
        if step == 11:
            raise KeyboardInterrupt
        return real(batch, step)

    first.losses = ends  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run_training(first, config, "line", run)
    assert steps_in(run / "log.csv") == [*range(1, 11)]
    second = Line()
    trained = run_training(second, config, "line", run)
    assert second.seen == [*range(8 * 3, 20 * 3)]
    assert steps_in(run / "log.csv") == [*range(1, 21)]
    assert steps_in(run / "evaluation.csv") == [5, 10, 15, 20]
    assert [int(p.stem) for p in sorted((run / "samples").iterdir())] == [*range(2, 21, 2)]
    # The averaged weight lags behind the network's weight, which approaches 3.
    assert 0 < trained.weight.item() < second.net.weight.item()
    whole = Line()
    assert torch.equal(
        run_training(whole, config, "line", tmp_path / "whole").weight, trained.weight
    )


def test_an_average_follows_closely_at_first_and_slowly_later() -> None:
    net = nn.Linear(1, 1, bias=False)
    average = averaged(net, 0.9)
    nn.init.zeros_(net.weight)
    average.update_parameters(net)
    nn.init.ones_(net.weight)
    average.update_parameters(net)
    assert average.module.weight.item() == pytest.approx(1 - 1 / 21)
    for _ in range(1000):
        average.update_parameters(net)
    nn.init.constant_(net.weight, 2)
    average.update_parameters(net)
    assert average.module.weight.item() == pytest.approx(1.1, abs=1e-3)


def test_a_step_takes_the_mean_of_its_batches_and_leaves_out_overflows() -> None:
    weight = nn.Parameter(torch.tensor(1.0))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    terms = [{"a": 2 * weight, "b": weight}, {"a": 4 * weight, "b": -weight}]
    assert optimizer_step(terms, 2, optimizer, schedule, 100.0) == {"a": 3.0, "b": 0.0}
    assert weight.item() == pytest.approx(1 - 0.1 * 3)
    before = weight.item()
    optimizer_step([{"a": (weight - before).abs().sqrt()}], 1, optimizer, schedule, 100.0)
    assert weight.item() == before  # the gradient of a root at 0 is not finite


def test_hard_styles_get_more_photographs_within_bounds_and_after_a_pause() -> None:
    styles = [StylePicture("", name, name) for name in ("easy", "hard")]
    shares = StyleShares(styles, (1.0,))
    for _ in range(300):
        shares.learn(torch.tensor([0, 1]), torch.tensor([0.1, 10.0]))
    resumed = StyleShares(styles, (1.0,))
    resumed.load_state_dict(shares.state_dict())
    drawn, again = (
        each.draw(4000, torch.Generator().manual_seed(0)).float().mean()
        for each in (shares, resumed)
    )
    assert float(drawn) == pytest.approx(2 / 2.5, abs=0.05)  # shares of 2 and 1/2
    assert drawn == again


def test_the_middle_size_of_strokes_is_painted_in_twice_as_often() -> None:
    shares = StyleShares(
        [StylePicture("", "a", "a"), StylePicture("", "b", "b", share=2)], (0.5, 1, 2)
    )
    drawn = shares.draw(8000, torch.Generator().manual_seed(0)).bincount(minlength=6) / 1000
    assert drawn.tolist() == pytest.approx([0.67, 1.33, 0.67, 1.33, 2.67, 1.33], abs=0.15)


def test_progress_shows_steps_ever_further_apart(tmp_path: Path) -> None:
    for step in (*range(1000, 7000, 1000), 6500):
        tone = torch.full((2, 3, 16, 16), step / 10000)
        save_sheet(tmp_path, step, Sheet(torch.ones(2, 3, 16, 16), [tone[:1]] * 3, [tone] * 3))
    with Image.open(tmp_path / "progress.jpg") as progress:
        pixels = np.asarray(progress)
    assert pixels.shape[:2] == (4 * sheets.TILE, 3 * sheets.TILE)
    tones = pixels[sheets.TILE // 2 :: sheets.TILE, sheets.TILE // 2, 0] / 255
    assert tones.tolist() == pytest.approx([0.1, 0.2, 0.4, 0.65], abs=0.02)


def test_a_judge_scores_the_photo_and_the_picture_themselves() -> None:
    chance = torch.Generator().manual_seed(0)
    photo, picture = (torch.rand(1, 3, 64, 64, generator=chance) ** power for power in (1, 3))
    judge = Judge(vgg_to_relu5_1(), [photo])
    same, other = judge.score(lambda rgb: rgb, picture), judge.score(lambda _rgb: picture, picture)
    assert same.content_loss == pytest.approx(0, abs=1e-6)
    assert other.style_loss == pytest.approx(0, abs=1e-6)
    assert same.style_loss > 0 < other.content_loss


def test_scores_of_a_training_are_plotted(tmp_path: Path) -> None:
    for step in (5, 10):
        keep_scores(tmp_path, step, {"a": Score(1.0, 2.0 / step), "b": Score(0.5, 1.0)})
    assert steps_in(tmp_path / "evaluation.csv") == [5, 5, 10, 10]
    with Image.open(tmp_path / "evaluation.png") as plot:
        assert np.asarray(plot).std() > 10
