"""Encrypted files are refused, whatever in them is encrypted and wherever that begins."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from engines import Engine
from streamstyle import UserError, paint_video
from streamstyle.media.protection import refuse_protected
from tests.helpers.clips import Recipe, make_clip

ENCRYPTED = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


def encrypted(path: Path, kinds: tuple[str, ...]) -> Path:
    """Write an encrypted clip with tracks of these kinds."""
    plain = make_clip(path.with_name(f"plain{path.suffix}"), Recipe(audio_seconds=[1.0]))
    with av.open(plain) as source, av.open(path, "w", options=ENCRYPTED) as target:
        taken = [stream for stream in source.streams if stream.type in kinds]
        copies = {stream.index: target.add_stream_from_template(stream) for stream in taken}
        for packet in source.demux(taken):
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
    return path


def element(identity: str, *parts: bytes) -> bytes:
    """Return an element of Matroska; its content has less than 127 bytes."""
    content = b"".join(parts)
    return bytes.fromhex(identity) + bytes([0x80 | len(content)]) + content


CONTENT_ENCODINGS = element(
    "6d80",
    element(
        "6240",
        element("5031", b"\0"),  # order
        element("5032", b"\1"),  # scope: all contents
        element("5033", b"\1"),  # type: encryption
        element("5035", element("47e1", b"\5"), element("47e2", b"the key's name")),  # AES
    ),
)


def encrypted_webm(path: Path) -> Path:
    """Write a clip whose track says, as those of streaming services, that it is encrypted."""
    make_clip(path, Recipe(codec="libvpx-vp9", pts=range(5)))
    data = path.read_bytes()
    segment = data.index(bytes.fromhex("18538067")) + 4
    listed = data.index(bytes.fromhex("1654ae6b"))  # in the table of contents, before the tracks
    tracks = data.index(bytes.fromhex("1654ae6b"), listed + 4) + 4
    sizes = {segment: 8}
    for at in (tracks, data.index(b"\xae", tracks) + 1):
        sizes[at] = 9 - data[at].bit_length()
    entry = max(sizes)
    end = entry + sizes[entry] + _size(data, entry, sizes[entry])
    longer = bytearray(data)
    for at, length in sizes.items():
        size = _size(data, at, length) + len(CONTENT_ENCODINGS)
        longer[at : at + length] = (1 << 7 * length | size).to_bytes(length, "big")
    path.write_bytes(longer[:end] + CONTENT_ENCODINGS + longer[end:])
    return path


def _size(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "big") & (1 << 7 * length) - 1


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
def test_an_encrypted_file_is_refused(tmp_path: Path, inverter: Engine, suffix: str) -> None:
    path = encrypted(tmp_path / f"in{suffix}", ("video", "audio"))
    with pytest.raises(UserError, match=r"is protected \(DRM\) and can't be decoded"):
        paint_video(path, tmp_path / "out.mp4", engine=inverter)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("tags", [(b"mp4a", b"drms"), (b"avc1", b"drmi"), (b"avc1", b"encv")])
def test_a_file_of_a_shop_is_refused(
    tmp_path: Path, inverter: Engine, tags: tuple[bytes, bytes]
) -> None:
    plain = make_clip(tmp_path / "plain.mp4", Recipe(audio_seconds=[1.0]))
    path = tmp_path / "in.mp4"
    path.write_bytes(plain.read_bytes().replace(*tags))
    with pytest.raises(UserError, match=r"in\.mp4 is .*protected \(DRM\)"):
        paint_video(path, tmp_path / "out.mp4", engine=inverter)


def test_every_packet_tells(tmp_path: Path) -> None:
    for kind in ("video", "audio"):
        with av.open(encrypted(tmp_path / f"{kind}.mp4", (kind,))) as source:
            for packet in source.demux():
                if packet.size:
                    with pytest.raises(UserError, match=r"a\.mp4 is protected"):
                        refuse_protected(packet, "a.mp4")
    with av.open(make_clip(tmp_path / "open.mp4")) as source:
        for packet in source.demux():
            refuse_protected(packet, "open.mp4")


def test_an_encrypted_webm_is_refused(tmp_path: Path, inverter: Engine) -> None:
    with pytest.raises(UserError, match="is protected"):
        paint_video(encrypted_webm(tmp_path / "in.webm"), tmp_path / "out.mp4", engine=inverter)
