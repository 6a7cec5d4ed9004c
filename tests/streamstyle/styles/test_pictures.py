"""Pictures as styles: how they are named, read, mixed, and changed during a session."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamstyle import ImageSettings, Region, UserError, open_engine, paint_image
from streamstyle.cli.main import main
from streamstyle.frame import Frame
from streamstyle.live.controls import Controls
from streamstyle.live.engine_pool import choose
from streamstyle.live.session import LiveSession
from streamstyle.styles import (
    StyleSpec,
    asked_for,
    parse_style,
    read_style,
    style_of_dropped,
    styles_beside,
)
from tests.helpers.frames import spots
from tests.helpers.live import Camera, show_until
from tests.helpers.models import write_two_styles

pytestmark = pytest.mark.slow


def shallow(style: str | Path) -> StyleSpec:
    """Return the style with a level that the tests' model has."""
    return replace(parse_style(style), levels=("relu2_1",))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in (1, 2, 10):
        spots(number).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def opened(wct_path: Path):
    return lambda style: open_engine(shallow(style), "openvino", "cpu", "fp32")


@pytest.fixture(params=["wct_path", "any_picture_path"])
def model(request: pytest.FixtureRequest) -> Path:
    """A model of each family in which pictures can be mixed."""
    path: Path = request.getfixturevalue(request.param)
    return path


def test_a_picture_is_a_style(model: Path, pictures: Path, opened: Callable) -> None:
    frames = np.asarray(spots(5))[np.newaxis]
    painted = []
    for name in ("1.png", "2.png"):
        with opened(f"{model}:{pictures / name}") as engine:
            engine.prepare(*frames.shape[1:3])
            painted.append(engine.paint(frames).astype(int))
    assert np.abs(painted[0] - painted[1]).mean() > 1


def test_styles_are_mixed_by_weights(wct_path: Path, pictures: Path) -> None:
    model = f"{wct_path}:{pictures}/"
    _, first = read_style(shallow(f"{model}1.png"))
    _, second = read_style(shallow(f"{model}2.png"))
    _, mix = read_style(shallow(f"{model}1.png=3+{model}2.png"))
    for name, array in mix.items():
        np.testing.assert_allclose(array, 0.75 * first[name] + 0.25 * second[name], rtol=1e-5)


def test_styles_of_a_model_are_mixed_too(tmp_path: Path) -> None:
    write_two_styles(tmp_path / "two.onnx")
    model = tmp_path / "two.onnx"
    _, mix = read_style(parse_style(f"{model}:same=1+{model}:negative=4"))
    np.testing.assert_allclose(mix["style_weights"], [0.2, 0.8])
    with open_engine(f"{model}:same=1+{model}:negative=4", "openvino", "cpu", "fp32") as engine:
        painted = engine.paint(np.full((1, 32, 32, 3), 255, np.uint8))
    assert np.abs(painted.astype(int) - 51).max() <= 1


@pytest.mark.parametrize(
    ("style", "words"),
    [
        ("MODEL:PICTURES/1.png+TWO:same", "can't be mixed"),
        ("MODEL:PICTURES/1.png=0", "a weight is a number above 0"),
        ("TWO:PICTURES/1.png", "has its own styles and takes no picture"),
        ("MODEL", "paints in the style of a picture; give one"),
        ("MODEL:PICTURES/missing.png", "there is no file"),
        ("MODEL:PICTURES/broken.png", "can.* read"),
        ("MODEL:PICTURES/dot.png", "1x1 pixels; a style needs at least 16x16"),
    ],
)
def test_what_is_no_style_is_refused_in_a_sentence(
    wct_path: Path, tmp_path: Path, pictures: Path, style: str, words: str
) -> None:
    write_two_styles(tmp_path / "two.onnx")
    (pictures / "broken.png").write_bytes((pictures / "1.png").read_bytes()[:60])
    Image.new("RGB", (1, 1)).save(pictures / "dot.png")
    for name, path in (("MODEL", wct_path), ("TWO", tmp_path / "two.onnx"), ("PICTURES", pictures)):
        style = style.replace(name, str(path))
    with pytest.raises(UserError) as caught:
        read_style(shallow(style))
    assert re.search(words, str(caught.value))


def test_pictures_in_a_folder_are_gone_through(model: Path, pictures: Path) -> None:
    style = parse_style(f"{model}:{pictures / '2.png'}")
    styles = [parse_style(f"{model}:{pictures / name}") for name in ("1.png", "2.png", "10.png")]
    assert styles_beside(style) == (styles, 1)
    spots(3).save(pictures / "3.png")  # added to the folder later
    assert [Path(beside.pictures[0]).name for beside in styles_beside(style)[0]] == [
        "1.png", "2.png", "3.png", "10.png",
    ]  # fmt: skip


def test_names_of_files_may_hold_what_mixes(wct_path: Path, pictures: Path) -> None:
    spots(7).save(pictures / "a+b=2.png")
    card, style = read_style(shallow(f"{wct_path}:{pictures / 'a+b=2.png'}"))
    assert card.path == wct_path
    assert style


def test_what_is_asked_for(pictures: Path) -> None:
    assert str(asked_for(None, [])) == "starry-night"
    assert str(asked_for("great-wave", [])) == "great-wave"
    assert asked_for(None, ["a.jpg", "b.png=2"]) == parse_style("a.jpg+b.png=2")
    assert asked_for("mine.onnx", ["a.jpg"]) == parse_style("mine.onnx:a.jpg")
    assert asked_for(None, [str(pictures)]).pictures == [str(pictures / "1.png")]


@pytest.mark.parametrize(("name", "kind"), [("a.jfif", "JPEG"), ("a.avif", "AVIF"), ("a", "PNG")])
def test_a_style_s_picture_is_known_by_what_it_holds(
    wct_path: Path, pictures: Path, name: str, kind: str
) -> None:
    spots(7).save(pictures / name, kind)
    style = f"{wct_path}:{pictures / name}"
    assert parse_style(style) == asked_for(str(wct_path), [str(pictures / name)])
    assert read_style(shallow(style))[1]
    assert style_of_dropped(str(pictures / name), parse_style(style)) == parse_style(style)
    assert styles_beside(parse_style(style))[1] >= 0


def test_what_holds_no_picture_is_no_style(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pictures / "notes.txt").write_text("no picture")
    with pytest.raises(UserError, match=r"notes.txt is not an image that can be read"):
        read_style(asked_for(None, [str(pictures / "notes.txt")]))
    assert not parse_style(pictures / "notes.txt").pictures
    spots(7).save(pictures / "great-wave", "PNG")  # named like a style
    monkeypatch.chdir(pictures)
    assert not parse_style("great-wave").pictures
    assert parse_style("./great-wave").pictures


def test_two_pictures_whose_names_hold_what_mixes(model: Path, pictures: Path) -> None:
    for name in ("a+b.png", "c=3.png"):
        spots(7).save(pictures / name)
    asked = [str(pictures / "a+b.png"), f"{pictures / 'c=3.png'}=2"]
    style = asked_for(str(model), asked)
    assert [Path(picture).name for picture in style.pictures] == ["a+b.png", "c=3.png"]
    assert [part.weight for part in style.parts] == [1, 2]
    assert read_style(replace(style, levels=("relu2_1",)))[0].path == model


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images in"):
        asked_for(None, [str(tmp_path)])


def test_the_same_photo_is_painted_the_same_after_any_other(
    wct_path: Path, pictures: Path, tmp_path: Path, opened: Callable
) -> None:
    """WCT keeps state between frames of a video, but not between photos."""
    with opened(f"{wct_path}:{pictures / '1.png'}") as engine:
        paint_image(pictures, tmp_path / "all", engine=engine)
        paint_image(pictures / "10.png", tmp_path / "alone.png", engine=engine)
    alone = np.asarray(Image.open(tmp_path / "alone.png"))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "all" / "10.png")), alone)


def test_a_session_goes_from_picture_to_picture_and_survives_a_bad_one(
    model: Path, pictures: Path
) -> None:
    style = shallow(f"{model}:{pictures / '1.png'}")
    chosen = partial(choose, backend="openvino")

    def painting(session: LiveSession) -> np.ndarray:
        return show_until(session, lambda frame: painted(frame)).image

    def painted(frame: Frame) -> bool:
        return tuple(frame.image[32, 60]) != (255, 128, 0)

    with LiveSession(Camera, Controls(style), choose=chosen) as session:
        first = painting(session)
        session.next_style()
        show_until(session, lambda f: np.abs(f.image.astype(int) - first).mean() > 1)
        assert str(session.controls.style).endswith("2.png")
        (pictures / "3.png").write_bytes((pictures / "1.png").read_bytes()[:60])
        session.next_style()
        show_until(session, lambda _frame: bool(session.status().problems))
        assert "3.png" in session.status().problems[0]
        before = painting(session).astype(int)  # in the previous style
        session.next_style()
        show_until(session, lambda f: np.abs(f.image.astype(int) - before).mean() > 1)
        assert str(session.controls.style).endswith("10.png")
        assert not session.status().problems
        before = painting(session).astype(int)
        session.drop(str(pictures / "2.png"))
        show_until(session, lambda f: np.abs(f.image.astype(int) - before).mean() > 1)
        assert session.controls.style == shallow(f"{model}:{pictures / '2.png'}")


def test_what_is_dropped_is_taken_by_the_model_that_paints_if_it_can_be(
    any_picture_path: Path, pictures: Path
) -> None:
    picture = str(pictures / "1.png")
    by_any = parse_style(f"{any_picture_path}:{pictures / '2.png'}")
    assert style_of_dropped(picture, by_any) == parse_style(f"{any_picture_path}:{picture}")
    assert style_of_dropped(picture, parse_style("great-wave")) == parse_style(picture)
    assert style_of_dropped(picture, parse_style(pictures / "2.png")) == parse_style(picture)
    assert style_of_dropped("mine.onnx", by_any) == parse_style("mine.onnx")


def test_a_texture_is_made_of_a_picture(wct_path: Path, pictures: Path, tmp_path: Path) -> None:
    def texture(name: str, seed: str, *options: str) -> np.ndarray:
        out = tmp_path / "out.png"
        command = ["texture", str(pictures / name), "-o", str(out), "--size", "80x48"]
        given = ["--model", str(wct_path), "--levels", "2,1", "--seed", seed, "--overwrite"]
        assert main([*command, *given, *options]) == 0
        return np.asarray(Image.open(out)).astype(int)

    first = texture("1.png", "0")
    assert first.shape == (48, 80, 3)
    np.testing.assert_array_equal(texture("1.png", "0"), first)
    assert np.abs(texture("1.png", "1") - first).mean() > 1
    assert np.abs(texture("2.png", "0") - first).mean() > 1
    assert np.abs(texture("1.png", "0", "--passes", "1") - first).mean() > 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "8x80"], "at least 16x16 pixels"),
        (["--passes", "0"], "at least one pass"),
        (["--levels", "5"], "no level relu5_1"),
        (["--alpha", "2"], "alpha is from 0 to 1"),
        (["-o", "out.xyz"], "xyz"),
    ],
)
def test_bad_textures_are_one_sentence(
    wct_path: Path,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    command = ["texture", str(pictures / "1.png"), "-o", str(tmp_path / "out.png")]
    given = ["--model", str(wct_path), "--levels", "2"]
    assert main([*command, *given, *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


def test_two_pictures_each_on_its_side_of_a_mask_in_one_pass(
    wct_path: Path, pictures: Path, tmp_path: Path, opened: Callable
) -> None:
    # Both sides mirror each other, so each has the statistics of the whole.
    half = np.asarray(spots(5, (64, 64)))
    Image.fromarray(np.hstack([half, half[:, ::-1]])).save(tmp_path / "photo.png")
    mask = np.zeros((8, 16), np.uint8)
    mask[:, :8] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    calls = []
    painted = {}
    styles = (f"{wct_path}:{pictures / name}" for name in ("1.png", "2.png"))
    with ExitStack() as stack:
        first, second = (stack.enter_context(opened(style)) for style in styles)
        second.paint = lambda *_: calls.append(1)
        regions = {"both": Region(str(tmp_path / "mask.png"), elsewhere=second), "first": None}
        for name, region in regions.items():
            out = tmp_path / f"{name}.png"
            paint_image(
                tmp_path / "photo.png", out, engine=first, settings=ImageSettings(region=region)
            )
            painted[name] = np.asarray(Image.open(out)).astype(int)
    with opened(f"{wct_path}:{pictures / '2.png'}") as second:
        paint_image(tmp_path / "photo.png", tmp_path / "second.png", engine=second)
    painted["second"] = np.asarray(Image.open(tmp_path / "second.png")).astype(int)
    assert not calls  # the first engine paints both sides
    for side, near, far in (
        (np.s_[:, :48], "first", "second"),
        (np.s_[:, 80:], "second", "first"),
    ):
        near_by = np.abs(painted["both"][side] - painted[near][side]).mean()
        assert near_by < 0.5 * np.abs(painted["both"][side] - painted[far][side]).mean()


@pytest.mark.parametrize("command", ["image", "texture"])
def test_a_style_s_picture_is_not_overwritten(
    wct_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    style = pictures / "1.png"
    before = style.read_bytes()
    model = ["--levels", "2", "--overwrite"]
    given = {
        "image": [str(pictures / "2.png"), str(style), "--style", str(wct_path)],
        "texture": [str(style), "-o", str(style), "--model", str(wct_path)],
    }
    picture = ["--style-image", str(style)] if command == "image" else []
    assert main([command, *given[command], *picture, *model]) == 2
    assert "is the input itself" in capsys.readouterr().err
    assert style.read_bytes() == before
