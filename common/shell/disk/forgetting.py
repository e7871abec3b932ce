"""Takes hashes out of the store again: of files that are gone, and of a share that is given up.

A hash goes only where the file system says that its file is not there: one that cannot be reached
for the moment keeps its hash, and so does all of a share that is suddenly empty, which is what an
unmounted disk looks like. What another share or a finished download still needs stays. Files are
looked at, never opened.
"""

from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path

from common.shell.disk.diskcalls import REAL, DiskCalls, DiskError
from common.shell.disk.remembered import Hashes


def forget_gone(store: Hashes, root: Path, present: Container[str], disk: DiskCalls = REAL) -> None:
    """Forget hashes below `root` whose files are gone; `present` are relpaths known to be there.

    A store that cannot be written keeps them: they do no harm, and the next time comes.
    """
    with suppress(DiskError):
        for folder in store.folders(root):
            inside = "" if folder == root else folder.relative_to(root).as_posix() + "/"
            names = [
                name
                for name in store.hashes(folder)
                if inside + name not in present and _is_gone(disk, folder / name)
            ]
            if names:
                store.forget_hashes(folder, names)
        store.forget_layers()


def forget_share(store: Hashes, share: Path, others: Iterable[Path]) -> None:
    """Forget the hashes of a share, but for what lies in one of the `others` too."""
    followed = list(others)
    with suppress(DiskError):
        fetched = {record.path for record in store.downloads()}
        if not _within(share, followed) and str(share) not in fetched:
            store.forget_hashes(share.parent, [share.name])  # where the share is a file
        for folder in store.folders(share):
            if not _within(folder, followed):
                names = [
                    name
                    for name in store.hashes(folder)
                    if folder / name not in followed and str(folder / name) not in fetched
                ]
                store.forget_hashes(folder, names)
        store.forget_layers()


def _within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _is_gone(disk: DiskCalls, path: Path) -> bool:
    try:
        disk.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
