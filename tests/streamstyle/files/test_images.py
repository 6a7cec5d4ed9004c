"""Still images keep their size, transparency, color profile and EXIF data."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from engines import Engine
from streamstyle import ImageSettings, Look, UserError, paint_image
from streamstyle.painting.look import MOST_SIDE


def gradient(width: int = 64, height: int = 48) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, :, 0] = np.linspace(0, 255, width)
    image[:, :, 1] = np.linspace(0, 255, height)[:, None]
    return image


@pytest.fixture
def painted(tmp_path: Path, inverter: Engine):
    """Return a function that saves a picture, paints it, and opens the result."""

    def paint(picture: Image.Image, name: str = "in.png", to: str = "out.png", **options: object):
        picture.save(tmp_path / name, **options)
        paint_image(tmp_path / name, tmp_path / to, engine=inverter)
        result = Image.open(tmp_path / to)
        result.load()
        return result

    return paint


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_exact_formats_are_exact(painted, suffix: str) -> None:
    result = painted(Image.fromarray(gradient()), f"in.{suffix}", f"out.{suffix}")
    assert np.array_equal(np.asarray(result), 255 - gradient())


@pytest.mark.parametrize("suffix", ["jpg", "jfif", "webp", "avif"])
def test_lossy_formats_are_close(painted, suffix: str) -> None:
    result = painted(Image.fromarray(gradient()), "in.png", f"out.{suffix}")
    assert np.abs(255 - np.asarray(result).astype(int) - gradient()).mean() < 3


def test_transparency_stays(painted) -> None:
    alpha = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    result = painted(Image.fromarray(np.dstack([gradient(), alpha])))
    assert result.mode == "RGBA"
    assert np.array_equal(np.asarray(result)[..., 3], alpha)


def test_transparency_goes_to_both_sides(tmp_path: Path, inverter: Engine) -> None:
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, :20] = 255
    Image.fromarray(np.dstack([gradient(), alpha])).save(tmp_path / "in.png")
    for resize, wide in ((False, 128), (True, 64)):
        look = Look(width=32, resize=resize, side_by_side=True)
        paint_image(
            tmp_path / "in.png",
            tmp_path / f"{wide}.png",
            engine=inverter,
            settings=ImageSettings(look=look),
        )
        with Image.open(tmp_path / f"{wide}.png") as result:
            opaque = np.asarray(result)[..., 3] > 127
        assert opaque.shape[1] == wide
        assert opaque[12].tolist() == 2 * [x < wide * 20 / 128 for x in range(wide // 2)]


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_that_is_lost_is_said(tmp_path: Path, inverter: Engine, suffix: str) -> None:
    Image.fromarray(gradient()).convert("RGBA").save(tmp_path / "opaque.png")
    Image.new("RGBA", (64, 48), (9, 9, 9, 9)).save(tmp_path / "clear.png")
    for name, count in (("opaque", 0), ("clear", 1)):
        target = tmp_path / f"{name}{suffix}"
        report = paint_image(tmp_path / f"{name}.png", target, engine=inverter)
        assert len(report.notes) == count
    assert f"{target} is opaque" in report.notes[0]


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".gif", ".png"])
def test_pictures_after_the_first_are_said(tmp_path: Path, inverter: Engine, suffix: str) -> None:
    source = tmp_path / f"in{suffix}"
    first, *others = (Image.new("RGB", (64, 48), (grey, grey, grey)) for grey in (50, 100, 200))
    first.save(source, save_all=True, append_images=others, lossless=True)
    report = paint_image(source, tmp_path / "out.png", engine=inverter)
    assert report.notes == (f"only the first picture in {source} is painted",)
    with Image.open(tmp_path / "out.png") as result:
        assert result.getpixel((9, 9)) == (205, 205, 205)


def test_damage_after_the_first_picture_does_no_harm(tmp_path: Path, inverter: Engine) -> None:
    source = tmp_path / "in.gif"
    first, second = (Image.fromarray(gradient() // part) for part in (1, 2))
    first.save(source)
    alone = source.stat().st_size
    first.save(source, save_all=True, append_images=[second])
    source.write_bytes(source.read_bytes()[: alone + 30])
    report = paint_image(source, tmp_path / "out.png", engine=inverter)
    assert report.notes == (f"only the first picture in {source} is painted",)


def test_two_images_of_one_name_are_not_written_over_each_other(
    tmp_path: Path, inverter: Engine
) -> None:
    (tmp_path / "in").mkdir()
    for name, grey in (("a.gif", 50), ("a.gif.png", 200)):
        Image.new("RGB", (64, 48), (grey, grey, grey)).save(tmp_path / "in" / name)
    report = paint_image(
        tmp_path / "in", tmp_path / "out", engine=inverter, settings=ImageSettings(overwrite=True)
    )
    target = tmp_path / "out" / "a.gif.png"
    assert report.notes == (f"a.gif.png was left out: {target} already holds another image",)
    assert Image.open(target).getpixel((9, 9)) == (205, 205, 205)


def test_transparent_palette(painted) -> None:
    picture = Image.fromarray(gradient()).quantize(16)
    result = painted(picture, "in.gif", "out.png", transparency=0)
    assert result.mode == "RGBA"
    assert set(np.unique(np.asarray(result)[..., 3])) == {0, 255}


def test_color_profile_stays(painted) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, to in (("in.png", "out.png"), ("in.jpg", "out.jpg")):
        result = painted(Image.fromarray(gradient()), name, to, icc_profile=profile)
        assert result.info["icc_profile"] == profile


def test_exif_stays_and_the_picture_is_upright(painted) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    exif[0x013B] = "Ann Other"  # the artist
    result = painted(Image.fromarray(gradient()), "in.jpg", "out.jpg", exif=exif, quality=95)
    assert result.size == (48, 64)
    assert result.getexif()[0x013B] == "Ann Other"
    assert 0x0112 not in result.getexif()
    upright = np.rot90(gradient(), -1).astype(int)
    assert np.abs(255 - np.asarray(result).astype(int) - upright).mean() < 4


@pytest.mark.parametrize(("mode", "space"), [("L", b"GRAY"), ("CMYK", b"CMYK")])
def test_color_profile_of_anything_but_rgb_is_left_out(
    tmp_path: Path, inverter: Engine, mode: str, space: bytes
) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = space
    photo = tmp_path / "in.jpg"
    Image.fromarray(gradient()).convert(mode).save(photo, icc_profile=bytes(profile))
    report = paint_image(photo, tmp_path / "out.png", engine=inverter)
    with Image.open(tmp_path / "out.png") as result:
        assert "icc_profile" not in result.info
    assert report.notes == (f"the color profile of {photo} is not for RGB and was left out",)


def damaged_exif() -> bytes:
    """Return EXIF data with a quarter turn, and with a resolution that is text."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x011A] = 72.0
    data = exif.tobytes()
    fraction, text = struct.pack(">HH", 0x011A, 5), struct.pack(">HH", 0x011A, 2)
    assert fraction in data
    return data.replace(fraction, text)


def test_damaged_exif_is_left_out_and_the_picture_is_upright(painted, tmp_path: Path) -> None:
    result = painted(Image.fromarray(gradient()), "in.png", "out.png", exif=damaged_exif())
    assert np.array_equal(np.asarray(result), 255 - np.rot90(gradient(), -1))
    assert not result.getexif()


def test_damaged_exif_does_not_end_a_folder(tmp_path: Path, inverter: Engine) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(gradient()).save(tmp_path / "in/1.jpg", exif=damaged_exif())
    Image.fromarray(gradient()).save(tmp_path / "in/2.jpg")
    report = paint_image(tmp_path / "in", tmp_path / "out", engine=inverter)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["1.jpg", "2.jpg"]
    assert report.notes == (
        f"the EXIF data of {tmp_path / 'in/1.jpg'} is damaged and was left out",
    )


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "YCbCr"])
def test_every_mode_is_painted_in_color(painted, mode: str) -> None:
    source = Image.fromarray(gradient()).convert(mode)
    name = "in.jpg" if mode in ("CMYK", "YCbCr") else "in.png"
    result = painted(source, name)
    expected = 255 - np.asarray(source.convert("RGB")).astype(int)
    assert np.abs(np.asarray(result.convert("RGB")) - expected).mean() < 4


def test_sixteen_bits_are_scaled_not_clipped(painted) -> None:
    grey = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    result = painted(Image.fromarray(grey))
    expected = np.repeat(255 - (grey >> 8)[..., None], 3, axis=2)
    assert np.array_equal(np.asarray(result), expected)


@pytest.mark.parametrize(
    ("kind", "white"), [(np.float32, 1), (np.float32, 255), (np.int32, 255), (np.int32, 65535)]
)
def test_thirty_two_bits_are_scaled(painted, kind: type, white: int) -> None:
    grey = np.tile(np.linspace(0, white, 64).astype(kind), (48, 1))
    result = painted(Image.fromarray(grey), "in.tif")
    expected = 255 - np.repeat(grey[..., None] * (255 / white), 3, axis=2)
    assert np.abs(np.asarray(result) - expected).max() <= 0.5


@pytest.mark.parametrize("value", [-0.5, 70000, np.nan, np.inf])
def test_thirty_two_bits_whose_white_is_not_known_are_refused(painted, value: float) -> None:
    grey = np.full((48, 64), 0.5, np.float32)
    grey[0, 0] = value
    with pytest.raises(UserError, match=r"its values go from .*; save it with 8 or 16 bits"):
        painted(Image.fromarray(grey), "in.tif")


def test_tiny_picture(painted) -> None:
    result = painted(Image.new("RGB", (1, 1), (255, 0, 0)))
    assert result.size == (1, 1)
    assert result.getpixel((0, 0)) == (0, 255, 255)


def test_folder_is_refused_before_anything_is_painted(tmp_path: Path, inverter: Engine) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    target.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(gradient()).save(source / name)
    (target / "b.png").write_bytes(b"precious")
    with pytest.raises(UserError, match="--overwrite"):
        paint_image(source, target, engine=inverter)
    assert [p.name for p in target.iterdir()] == ["b.png"]
    assert (target / "b.png").read_bytes() == b"precious"


def test_one_image_into_a_folder(tmp_path: Path, inverter: Engine) -> None:
    Image.fromarray(gradient()).save(tmp_path / "in.png")
    (tmp_path / "out").mkdir()
    paint_image(tmp_path / "in.png", tmp_path / "out", engine=inverter)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["in.png"]


@pytest.mark.parametrize("target", ["in.png", "."])
def test_input_is_never_overwritten(tmp_path: Path, inverter: Engine, target: str) -> None:
    Image.fromarray(gradient()).save(tmp_path / "in.png")
    with pytest.raises(UserError, match="the input itself"):
        paint_image(
            tmp_path / "in.png",
            tmp_path / target,
            engine=inverter,
            settings=ImageSettings(overwrite=True),
        )
    assert np.array_equal(np.asarray(Image.open(tmp_path / "in.png")), gradient())


def test_folder_into_itself_is_refused(tmp_path: Path, inverter: Engine) -> None:
    Image.fromarray(gradient()).save(tmp_path / "in.png")
    with pytest.raises(UserError, match="the input itself"):
        paint_image(tmp_path, tmp_path, engine=inverter, settings=ImageSettings(overwrite=True))


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("missing.png", "out.png", "no file or folder"),
        ("broken.png", "out.png", "not an image"),
        ("half.png", "out.png", "cannot read"),
        ("empty", "out", "no images in"),
        ("in.png", "out.mp4", "ends in .avif, .bmp"),
        ("in.png", "missing/out.png", "does not exist"),
    ],
)
def test_bad_images(tmp_path: Path, inverter: Engine, source: str, target: str, words: str) -> None:
    Image.fromarray(gradient()).save(tmp_path / "in.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    (tmp_path / "half.png").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=words):
        paint_image(tmp_path / source, tmp_path / target, engine=inverter)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strength": 1.5}, "from 0 to 1"),
        ({"strength": -0.1}, "from 0 to 1"),
        ({"steady": 2}, "a steadiness must be from 0 to 1"),
        ({"scale": 0}, "above 0"),
        ({"scale": 0.5, "width": 100}, "not both"),
        ({"width": 8}, "at least 16"),
    ],
)
def test_bad_looks(settings: dict[str, float], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Look(**settings)


@pytest.mark.parametrize(
    ("look", "size"),
    [
        (Look(), (640, 480)),
        (Look(width=320), (320, 240)),
        (Look(height=120), (160, 120)),
        (Look(width=100, height=50), (100, 50)),
        (Look(scale=0.5), (320, 240)),
        (Look(scale=0.01), (16, 16)),
    ],
)
def test_working_size(look: Look, size: tuple[int, int]) -> None:
    assert look.working_size(640, 480) == size


@pytest.mark.parametrize("look", [Look(width=MOST_SIDE + 1), Look(height=20000, width=32)])
def test_a_size_that_takes_all_memory_is_refused(look: Look) -> None:
    with pytest.raises(UserError, match="give a smaller width, height or scale"):
        look.working_size(640, 480)


def test_the_input_s_own_size_is_never_too_large() -> None:
    assert Look().working_size(2 * MOST_SIDE, 48) == (2 * MOST_SIDE, 48)
