"""What somebody means who wants a folder: where it goes, and whether it is under way already."""

from collections.abc import Iterable
from typing import Final, cast

from common.content.manifest import (
    ManifestError,
    chooser,
    folder_name,
    is_manifest_name,
    manifest_name,
)
from common.content.torrent import file_id
from common.errors import Exit, UserError
from common.limits import MANIFEST_BYTES_MAX
from common.names import safe_name
from common.storage import FolderRecord
from leaf.downloads.fetchedfolder import FetchedFolder
from leaf.methods import Exists, Get
from leaf.signals import NOBODY, FolderFound, FolderWanted, Wanted
from leaf.swarm.download import State

IS_FILE: Final = "This is a file, not a folder.", "Leave --only out."
IS_FOLDER: Final = (
    "This is a folder, and only a single file can be streamed.",
    "Leave --stream out.",
)


def check_patterns(wish: FolderWanted) -> None:
    """Raise UserError for what chooses no files, or is no folder by its name or size."""
    file_only = wish.size > MANIFEST_BYTES_MAX or not (
        is_manifest_name(wish.name) or wish.name == file_id(wish.root, wish.size)
    )
    if wish.params.only and file_only:
        message = f"{wish.name} is one file: --only chooses files of a folder."
        raise UserError(Exit.USAGE, message, "Leave --only out.")
    try:
        chooser(wish.params.only)
    except ManifestError as error:
        raise UserError(Exit.USAGE, f"--only: {error}.") from error


def target_of(wish: FolderWanted, folder: str, there: Iterable[FetchedFolder]) -> str:
    """The folder to fetch into, below `folder` if nothing else is said.

    A folder into which one of those `there` was fetched is meant itself, and not one in it: the
    same command, run again, goes on or brings the new version.
    """
    name = folder_name(safe_name(wish.name))
    if not wish.params.to:
        return f"{folder.rstrip('/')}/{name}"
    to = wish.params.to.rstrip("/") or "/"
    itself = any(each.record.target == to for each in there)
    return f"{to.rstrip('/')}/{name}" if wish.params.into and not itself else to


def record_of(wish: FolderWanted, number: int, target: str) -> FolderRecord:
    """A folder that is fetched from the beginning."""
    params = wish.params
    return FolderRecord(
        number=number,
        root=wish.root,
        size=wish.size,
        name=manifest_name(folder_name(wish.name)),
        target=target,
        exists=params.exists,
        only=tuple(params.only),
        state=State.FETCHING.value,
    )


def meant(wish: FolderWanted, target: str, there: Iterable[FetchedFolder]) -> FetchedFolder | None:
    """The folder of those `there` that is meant: one under way, else one at the same place."""
    content = wish.root, wish.size
    same = [each for each in there if (each.record.root, each.record.size) == content]
    busy = (each for each in same if each.state is State.FETCHING)
    here = (each for each in same if each.record.target == target)
    return next(busy, None) or next(here, None)


def check_joins(folder: FetchedFolder, target: str, params: Get) -> None:
    """Raise UserError where this wish cannot wait for the folder that is under way."""
    record = folder.record
    hint = f"Wait until it is there, or end that with `leaf rm {folder.id}`."
    if params.stream and not params.detach and folder.is_loaded:
        raise UserError(Exit.USAGE, *IS_FOLDER)
    if params.to and target != record.target:
        message = f"This folder is being fetched already, to {record.target}."
        raise UserError(Exit.REFUSED, message, hint)
    if tuple(params.only) != record.only:
        message = "Other files of this folder are being fetched already."
        raise UserError(Exit.REFUSED, message, hint)


def wishes_of(found: FolderFound) -> list[FolderWanted]:
    """A file that turned out to be a folder takes the file's place, for all who wait for it."""
    record = found.record
    above, _, there = record.target.rpartition("/")
    name = record.called or there
    to = f"{above}/{folder_name(name)}" if record.called else record.target
    wishes = []
    for call, timeout_s in found.calls or ((NOBODY, 0.0),):
        get = order(record.root, record.size, to, record.exists)
        get.detach, get.timeout = call == NOBODY, timeout_s
        get.stream = record.is_streamed
        wishes.append(FolderWanted(call, get, record.root, record.size, name, found.sources))
    return wishes


def as_file(wish: FolderWanted) -> Wanted:
    """The same wish for what is no folder."""
    return Wanted(wish.call, wish.params, wish.root, wish.size, wish.name, wish.sources, wish.urls)


def nobodys_wish(folder: FetchedFolder) -> FolderWanted:
    """The wish for a folder for which nobody waits."""
    record = folder.record
    to = record.target + record.name[len(folder_name(record.name)) :]
    get = order(record.root, record.size, to, record.exists)
    sources = tuple(folder.sources.values())
    return FolderWanted(NOBODY, get, record.root, record.size, record.name, sources)


def order(root: bytes, size: int, to: str, exists: str) -> Get:
    """To fetch something to just this path, without waiting for it."""
    return Get(file_id(root, size), to, exists=cast("Exists", exists), detach=True)
