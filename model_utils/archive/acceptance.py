"""Takes an archive that was changed by hand for what it is now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from model_utils import atomic
from model_utils.archive.commit import finish_commit
from model_utils.archive.format import METADATA
from model_utils.archive.reader import validated_metadata
from model_utils.archive.verification import content_sha256, note_verified
from model_utils.locking import locked

CHANGED = "changed_by_hand"


def accept_changes(folder: Path) -> bool:
    """Gives an archive the hash of its files as they are; `created_by` keeps the one that it had.

    Returns:
        Whether anything had changed.

    Raises:
        InputError: The files do not fit each other.
        InUseError: Another process writes the archive.
    """
    finish_commit(folder)
    with locked(folder):
        metadata = validated_metadata(folder)
        found = content_sha256(folder)
        changed = found != metadata.content_sha256
        if changed:
            earlier = [*metadata.created_by.get(CHANGED, []), metadata.content_sha256]
            created_by = {**metadata.created_by, CHANGED: earlier}
            accepted = replace(metadata, content_sha256=found, created_by=created_by)
            atomic.write_text(folder / METADATA, accepted.to_json())
        note_verified(folder, found)
    return changed
