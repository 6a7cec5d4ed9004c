"""Tags of files and tracks: which ones to take along, and how to write them."""

from collections.abc import Mapping

from av.container import InputContainer

_ABOUT_OLD_FILE = {
    # of any container
    "alpha_mode", "compatible_brands", "duration", "encoder", "major_brand", "minor_version",
    "software", "vendor_id",
    # mkvmerge's statistics
    "bps", "number_of_bytes", "number_of_frames",
    # MXF's names for the file and for the program that wrote it
    "application_platform", "company_name", "file_package_umid", "generation_uid",
    "material_package_umid", "modification_date", "operational_pattern_ul", "product_name",
    "product_uid", "product_version", "product_version_num", "toolkit_version_num", "uid",
}  # fmt: skip
_STATISTICS = "_statistics_"  # mkvmerge's tags on its other tags


def file_tags(container: InputContainer) -> dict[str, str]:
    """Return the tags that describe the contents of a file."""
    tags: dict[str, str] = {}
    if container.format.name == "ogg":  # it has tags on its tracks only
        for stream in container.streams:
            tags |= {key: value for key, value in stream.metadata.items() if key != "language"}
    return _described(tags | container.metadata)


def track_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that describe the contents of a track."""
    tags = _described(metadata)
    if "name" in tags:  # FFmpeg reads MP4's name of a track as this, but writes it from "title"
        tags.setdefault("title", tags.pop("name"))
    return tags


def announces_alpha(metadata: Mapping[str, str]) -> bool:
    """Return whether a track of VP8 or VP9 has an alpha channel, which FFmpeg does not decode."""
    return any(key.lower() == "alpha_mode" and value == "1" for key, value in metadata.items())


def tag_options(tags: Mapping[str, str], suffix: str) -> dict[str, str]:
    """Return the muxer's options for tags that a file with this suffix would otherwise not keep.

    Cameras write tags such as com.apple.quicktime.make, which need MOV's newer kind of tags. Other
    tags are better off as the older kind, which more programs read.
    """
    if suffix in (".mp4", ".m4v", ".mov") and any(key.startswith("com.") for key in tags):
        return {"movflags": "use_metadata_tags"}
    return {}


def _described(metadata: Mapping[str, str]) -> dict[str, str]:
    """Leave out the tags about the old file or its encoding."""
    return {key: value for key, value in metadata.items() if not _is_about_old_file(key)}


def _is_about_old_file(key: str) -> bool:
    name = key.lower()
    return name.startswith(_STATISTICS) or name.partition("-")[0] in _ABOUT_OLD_FILE
