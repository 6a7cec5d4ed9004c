"""Pack the training data, all but clips, into one file of about 40 MiB for a machine with a GPU.

Usage: python -m export.data.pack DATA OUT.tar, with DATA as described in export/trainings.mk.
"""

import argparse
import io
import tarfile
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save
from tqdm import tqdm

from engines.pictures import open_picture
from export.data.photos import list_photos

SHORT_SIDES = {"photos": 224, "paintings": 320}
"""Short side in pixels to which pictures are scaled down, by their folder."""

QUALITY = 72  # JPEG quality

NETWORKS = (
    "vgg/distilled-encoder-relu5_1.safetensors",
    "vgg/vgg19-normalised-relu4_1.safetensors",
)


def main() -> None:
    """Write the pack and print its size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="the .tar file to write")
    options = parser.parse_args()
    with tarfile.open(options.out, "w") as tar:
        for folder, side in SHORT_SIDES.items():
            for path in tqdm(list_photos(options.data / folder), desc=folder, unit="picture"):
                _add(tar, str(path.relative_to(options.data)), _smaller(path, side))
        for name in NETWORKS:
            halved = {k: v.to(torch.float16) for k, v in load_file(options.data / name).items()}
            _add(tar, name, save(halved))
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.1f} MiB")


def _smaller(path: Path, side: int) -> bytes:
    with open_picture(path) as image:
        picture = image.convert("RGB")
    scale = min(1.0, side / min(picture.size))
    size = (round(picture.width * scale), round(picture.height * scale))
    data = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    main()
