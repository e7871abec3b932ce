"""A shared folder as one thing: the list of its files, which is itself a file of the network.

    superpeer folder 1
    ROOT SIZE PATH
    ...

One line a file, each ended by a line feed: the BEP 52 root in lower-case hex, the size in decimal,
the path inside the folder; sorted by the bytes of the path. The invariant: one list of files has
one form, so the root of the manifest names exactly that folder and is all the signature it needs;
what does not have that form is refused as a whole. Paths are as `common.names` leaves them, so that
nothing in a manifest can lead out of a folder. Nothing is read or hashed here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from common.content.merkle import EMPTY_ROOT
from common.limits import (
    FILE_NAME_BYTES_MAX,
    FILE_SIZE_MAX,
    FOLDER_FILES_MAX,
    FOLDER_PATTERN_CHARS_MAX,
    FOLDER_PATTERNS_MAX,
    MANIFEST_BYTES_MAX,
    PATH_DEPTH_MAX,
    STRING_BYTES_MAX,
)
from common.names import extension, safe_folder, safe_name

MAGIC: Final = b"superpeer folder 1\n"
SUFFIX: Final = ".folder"

_LINE = re.compile(r"([0-9a-f]{64}) (0|[1-9][0-9]{0,12}) (.+)")
_GLOB = re.compile(r"\*\*/?|[*?]|\[(!?[^\]]+)\]|.", re.DOTALL)
_WILD: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class ManifestError(ValueError):
    """Bytes that are no manifest, or a folder that has none; one sentence for a person."""


class FolderFile(msgspec.Struct, frozen=True, gc=False):
    """One file of a folder: its path inside, '/' between the parts, and what it is."""

    path: str
    size: int
    root: bytes


def manifest_name(folder: str) -> str:
    """How the manifest of a folder of this name is called."""
    room = FILE_NAME_BYTES_MAX - len(SUFFIX)
    return safe_name(safe_name(folder).encode()[:room].decode(errors="ignore") + SUFFIX)


def is_manifest_name(name: str) -> bool:
    """Whether a file of this name may be a manifest; its first line must say so too."""
    return name.endswith(SUFFIX) and len(name) > len(SUFFIX)


def folder_name(name: str) -> str:
    """The folder that a manifest of this name stands for."""
    return safe_name(name[: -len(SUFFIX)] if is_manifest_name(name) else name)


# --- writing --------------------------------------------------------------------------------


def manifest_of(files: Iterable[FolderFile]) -> bytes:
    """The manifest of these files, whatever their names and order.

    Names are sanitised; where two become one path, all but the first get a number. ManifestError
    for none, for too many and for too many bytes.
    """
    ordered = sorted(files, key=_order)
    if len(ordered) > FOLDER_FILES_MAX:
        raise ManifestError(
            f"it has {len(ordered)} files, and a folder as one thing has at most {FOLDER_FILES_MAX}"
        )
    if not ordered:
        raise ManifestError("there is no file in it")
    paths = apart([safe_path(file.path) for file in ordered])
    lines = sorted(
        (path.encode(), b"%s %d " % (file.root.hex().encode(), file.size))
        for path, file in zip(paths, ordered, strict=True)
    )
    data = MAGIC + b"".join(start + path + b"\n" for path, start in lines)
    if len(data) > MANIFEST_BYTES_MAX:
        raise ManifestError(f"its list of files has more than {MANIFEST_BYTES_MAX} bytes")
    return data


def _order(file: FolderFile) -> tuple[bytes, bytes, int]:
    return file.path.encode(errors="surrogatepass"), file.root, file.size


def safe_path(path: str) -> str:
    """A path as a manifest has it: a sanitised name in a sanitised folder."""
    folder, _, name = path.rpartition("/")
    folder = safe_folder(folder)
    return f"{folder}/{safe_name(name)}" if folder else safe_name(name)


# --- reading --------------------------------------------------------------------------------


def parse_manifest(data: bytes) -> tuple[FolderFile, ...]:
    """The files of a manifest, sorted by path; ManifestError for all that `manifest_of` does not
    write."""
    if len(data) > MANIFEST_BYTES_MAX:
        raise ManifestError(f"it has more than {MANIFEST_BYTES_MAX} bytes")
    if not data.startswith(MAGIC):
        raise ManifestError("its first line is not that of a folder's manifest")
    if data.count(b"\n") - 1 > FOLDER_FILES_MAX:
        raise ManifestError(f"it lists more than {FOLDER_FILES_MAX} files")
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise ManifestError("it is not text in UTF-8") from error
    if lines.pop() != "":
        raise ManifestError("it is cut off in the middle of a line")
    files = tuple(_file(line) for line in lines[1:])
    if not files:
        raise ManifestError("it lists no file")
    _check_order(files)
    return files


def _file(line: str) -> FolderFile:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ManifestError(f"{line[:80]!r} is not a root, a size and a path")
    root, size, path = bytes.fromhex(match[1]), int(match[2]), match[3]
    if size > FILE_SIZE_MAX:
        raise ManifestError(f"a file of {size} bytes is larger than the {FILE_SIZE_MAX} allowed")
    if (size == 0) != (root == EMPTY_ROOT):
        raise ManifestError("an empty file, and no other, has a root of zeros")
    _check_path(path)
    return FolderFile(path, size, root)


def _check_path(path: str) -> None:
    folder, _, name = path.rpartition("/")
    shown = f"{path[:80]!r}"
    if path.startswith("/"):
        raise ManifestError(f"{shown} is an absolute path")
    if ".." in path.split("/"):
        raise ManifestError(f"{shown} leads out of the folder")
    if folder.count("/") + bool(folder) > PATH_DEPTH_MAX:
        raise ManifestError(f"{shown} lies in more than {PATH_DEPTH_MAX} folders")
    if len(folder.encode()) > STRING_BYTES_MAX:
        raise ManifestError(f"{shown} lies in folders of more than {STRING_BYTES_MAX} bytes")
    if safe_name(name) != name or safe_folder(folder) != folder:
        raise ManifestError(f"{shown} is not a path that is safe everywhere")


def _check_order(files: Sequence[FolderFile]) -> None:
    """Sorted, each path once, and no file where another has its folder."""
    before = b""
    folders: dict[str, None] = {}
    for file in files:
        path = file.path.encode()
        if path == before:
            raise ManifestError(f"{file.path[:80]!r} is in it twice")
        if path < before:
            raise ManifestError(f"{file.path[:80]!r} is not in its place: paths are sorted")
        before = path
        folders.update(dict.fromkeys(_folders(file.path)))
    for file in files:
        if file.path in folders:
            raise ManifestError(f"{file.path[:80]!r} is a file, and the folder of another")


# --- on a disk ------------------------------------------------------------------------------


def places(files: Sequence[FolderFile]) -> list[str]:
    """Where each file goes below the target: its path, as long as that means one place on any disk.

    Some disks take two paths for one that differ only in case (or in Unicode's normal forms, which
    no manifest has). So that both files are kept, and at the same place on every disk, all but the
    first get a number, whatever this disk can tell apart.
    """
    return apart([file.path for file in files], _caseless)


def apart(paths: Sequence[str], key: Callable[[str], str] = str) -> list[str]:
    """These paths with a number in the name of each that means the same as one before it, or as the
    folder of another; `key` is what a path means."""
    folders = dict.fromkeys(key(folder) for path in paths for folder in _folders(path))
    taken: dict[str, None] = {}
    wanted = dict.fromkeys(key(path) for path in paths)  # a number must not take another's place
    tried: dict[str, int] = {}
    found = []
    for path in paths:
        free, means = path, key(path)
        if means in taken or means in folders:
            first, number = means, tried.get(means, 0)
            while means in taken or means in folders or means in wanted:
                number += 1
                free = _numbered(path, number)
                means = key(free)
            tried[first] = number
        taken[means] = None
        found.append(free)
    return found


def _numbered(path: str, number: int) -> str:
    folder, slash, name = path.rpartition("/")
    ending = extension(name)
    stem = name[: -len(ending) - 1] if ending else name
    tail = f" ({number})" + name[len(stem) :]
    room = FILE_NAME_BYTES_MAX - len(tail.encode())
    return folder + slash + safe_name(stem.encode()[:room].decode(errors="ignore") + tail)


def _caseless(path: str) -> str:
    """Canonical caseless form (Unicode 3.13, D145)."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _folders(path: str) -> list[str]:
    """All folders above a path."""
    found = []
    at = path.rfind("/")
    while at > 0:
        found.append(path[:at])
        at = path.rfind("/", 0, at)
    return found


# --- choosing -------------------------------------------------------------------------------


def chooser(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path is wanted: one of `patterns` matches it, or there is none.

    `*` and `?` stop at a '/', `**` does not; `[abc]` and `[!abc]` are one of some letters. A
    pattern without a '/' is for the name alone, in whatever folder; one that names a folder is for
    all in it. ManifestError for what is no pattern.
    """
    if len(patterns) > FOLDER_PATTERNS_MAX:
        raise ManifestError(f"there are more than {FOLDER_PATTERNS_MAX} patterns")
    matchers = [_matcher(each) for each in patterns]
    if not matchers:
        return lambda _path: True
    return lambda path: any(each.fullmatch(path) for each in matchers)


def _matcher(pattern: str) -> re.Pattern[str]:
    if not pattern.strip("/") or len(pattern) > FOLDER_PATTERN_CHARS_MAX:
        raise ManifestError(f"a pattern has 1 to {FOLDER_PATTERN_CHARS_MAX} characters")
    inside = unicodedata.normalize("NFC", pattern).strip("/")
    anywhere = "" if "/" in inside else "(?:.*/)?"
    glob = _GLOB.sub(_expression, inside)
    try:
        return re.compile(f"{anywhere}{glob}(?:/.*)?", re.DOTALL)
    except re.error as error:
        raise ManifestError(f"{pattern[:80]!r} is no pattern: {error.msg}") from error


def _expression(match: re.Match[str]) -> str:
    """One part of a glob as a regular expression."""
    part = match[0]
    if part in _WILD:
        return _WILD[part]
    if match[1] is None:
        return re.escape(part)
    negated, letters = match[1].startswith("!"), match[1].removeprefix("!")
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", letters)
    return f"(?!/)[{'^' if negated else ''}{escaped}]"
