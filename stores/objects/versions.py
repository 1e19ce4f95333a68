"""An object of S3 leaves its bucket with all its versions: where a bucket keeps them, to delete an object is to hide it."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["remove_versions"]

_ONLY: Final = "null"
"""The version of an object in a bucket that keeps none."""


def remove_versions(fs: Any, path: str) -> None:
    """Remove every version of an object, and what only says that it was deleted.

    Args:
        fs: an ``s3fs.S3FileSystem``.

    Raises:
        OSError: as the driver does; or versions stay, since this role may not list them.
    """
    bucket, key, _ = fs.split_path(path)
    try:
        versions = _versions(fs, bucket, key)
    except (OSError, ValueError) as error:  # refused to this role, or unknown to a server that only speaks like S3
        if fs.call_s3("delete_object", Bucket=bucket, Key=key).get("DeleteMarker"):
            raise PermissionError(
                "the bucket keeps former versions of what was removed, and they cannot be listed"
            ) from error
        return
    if versions in ([], [_ONLY]):  # a role that may delete objects may not have to delete versions
        if not fs.call_s3("delete_object", Bucket=bucket, Key=key).get("DeleteMarker"):
            return
        versions = _versions(fs, bucket, key)
    for version in versions:
        fs.call_s3("delete_object", Bucket=bucket, Key=key, VersionId=version)


def _versions(fs: Any, bucket: str, key: str) -> list[str]:
    listed = fs.call_s3("list_object_versions", Bucket=bucket, Prefix=key)
    found = (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ()))
    return [each["VersionId"] for each in found if each["Key"] == key]
