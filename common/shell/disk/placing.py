"""Names for files of ours beside files of the user, without ever taking a name away.

`numbered` yields NAME, NAME (1), NAME (2)… in that order; `place` moves a finished file to the
first that is free. Nothing is replaced: the system call itself refuses (link, or the rename that
does), so no moment lies between looking and moving.
"""

import enum
import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePath

from common.limits import FILE_NAME_BYTES_MAX
from common.shell.disk.diskcalls import DiskCalls

NAMES_TRIED_MAX = 1_000  # wild guess: beyond it something else is wrong with the folder
_EXTENSION_BYTES_MAX = 16  # what is longer after the last dot is no extension


class Exists(enum.StrEnum):
    """What to do where the wanted name is taken."""

    RENAME = "rename"
    SKIP = "skip"
    FAIL = "fail"


def numbered(name: str, tail: str = "") -> Iterator[str]:
    """`name`, then `name` with a number before its extension; never longer than a file system
    allows, and there is room for `tail` behind each."""
    stem, extension = _split(name)
    for number in range(NAMES_TRIED_MAX):
        mark = f" ({number})" if number else ""
        room = FILE_NAME_BYTES_MAX - len(os.fsencode(mark + extension + tail))
        yield _cut(stem, room) + mark + extension + tail


def place(
    disk: DiskCalls, folder: int, fd: int, source: str, wanted: str, *, exists: Exists
) -> str:
    """Rename `source`, open as `fd`, to `wanted` or the first free numbered name; tells which.

    FileExistsError where the name is taken and `exists` allows no other. A name that means this
    very file comes from an attempt that was cut short: it is completed. FileNotFoundError if
    `source` is no longer that file.
    """
    there = is_named(disk, fd, source, folder)
    for name in numbered(wanted):
        if is_named(disk, fd, name, folder):
            disk.sync_folder(folder)
            if there:
                disk.unlink(source, folder)
            return name
        if there and _moved(disk, folder, source, name, exists):
            return name
    number = errno.EEXIST if there else errno.ENOENT
    raise OSError(number, os.strerror(number), wanted)


def _moved(disk: DiskCalls, folder: int, source: str, name: str, exists: Exists) -> bool:
    try:
        disk.rename_new(source, name, folder)
    except FileExistsError:
        if exists is not Exists.RENAME:
            raise
        return False
    return True


def make_folders(disk: DiskCalls, folder: Path) -> None:
    """Make a folder and those above it, each durable: a file is lost with the folder it is in.

    OSError where there can be none; a folder that is there is fine.
    """
    missing = [folder]
    while missing:
        if _is_made(disk, missing[-1]):
            missing.pop()
        else:
            missing.append(missing[-1].parent)


def _is_made(disk: DiskCalls, folder: Path) -> bool:
    """Make it, unless the one above is missing; OSError where there can be none."""
    # Asked first: between the two calls another file of the same folder may make the one above.
    above_is_there = folder.parent == folder or disk.is_folder(folder.parent)
    try:
        disk.make_folder(folder)
    except FileNotFoundError:
        if above_is_there:
            raise  # it takes no folder, as /proc
        return False
    except OSError:
        if not disk.is_folder(folder):
            raise
        return True
    try:
        _sync_above(disk, folder)
    except OSError:
        with suppress(OSError):
            disk.remove_folder(folder)  # else the next attempt would take it for durable
        raise
    return True


def _sync_above(disk: DiskCalls, folder: Path) -> None:
    try:
        above = disk.open_folder(folder.parent)
    except PermissionError:
        return  # who may write into a folder need not be able to open it
    try:
        disk.sync_folder(above)
    finally:
        disk.close(above)


def is_named(disk: DiskCalls, fd: int, name: str, folder: int) -> bool:
    """Whether `name` still means the file that `fd` has open."""
    try:
        named = disk.stat_in(name, folder)
    except FileNotFoundError:
        return False
    mine = disk.fstat(fd)
    return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)


def _split(name: str) -> tuple[str, str]:
    extension = PurePath(name).suffix
    if not extension or len(os.fsencode(extension)) > _EXTENSION_BYTES_MAX:
        return name, ""
    return name[: -len(extension)], extension


def _cut(stem: str, room: int) -> str:
    """The longest beginning of `stem` that fits into `room` bytes; no character is cut in two."""
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem
