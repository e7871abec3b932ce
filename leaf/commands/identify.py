"""`leaf id`: name files by their content, without a daemon and without sharing them."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from common.errors import Exit, UserError
from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.units import size_text


class IdRow(msgspec.Struct):
    """One file: `root` is the hex of its BEP 52 root, `path` as it was given."""

    path: str
    size: int
    root: str
    id: str
    link: str


@click.command("id")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@global_options
@pass_invocation
def identify(invocation: Invocation, files: tuple[str, ...]) -> None:
    """Name files by their content: the id and link that any leaf finds them by."""
    output = invocation.output()
    with output.bar("Hashing") as bar:
        rows = rows_of(files, bar.update, invocation.timeout)
    if not output.for_people:
        output.document(rows)
        return
    output.table((">size", "path", "id"), [(size_text(row.size), row.path, row.id) for row in rows])


def rows_of(
    files: tuple[str, ...],
    on_bytes: Callable[[int, int], None],
    timeout_s: float | None,
    clock: Callable[[], float] = time.monotonic,
) -> list[IdRow]:
    """Hash each file; `on_bytes` hears of done and total. Raises UserError (exit 8 or 124)."""
    from common.content.torrent import file_id, magnet
    from common.shell.disk.files import FileStamp
    from common.shell.disk.scan import FoundFile, HashCancelledError, hash_file

    found = [looked_at(path) for path in files]
    total, done = sum(status.st_size for _, status in found), 0
    deadline = None if timeout_s is None else clock() + timeout_s

    def count(read: int) -> None:
        nonlocal done
        done += read
        on_bytes(done, total)

    rows: list[IdRow] = []
    for path, (real, status) in zip(files, found, strict=True):
        try:
            tree = hash_file(
                real.parent,
                FoundFile(real.name, FileStamp.of(status)),
                lambda: deadline is not None and clock() >= deadline,
                count,
            )
        except HashCancelledError:
            raise timed_out(timeout_s) from None
        root, size = tree.root, status.st_size
        link = magnet(Path(path).name, root, size)
        rows.append(IdRow(path, size, root.hex(), file_id(root, size), link))
    return rows


def timed_out(timeout_s: float | None) -> UserError:
    """What becomes of hashing that takes longer than the person wants to wait."""
    text = f"Not all was hashed within {timeout_s or 0:g} s."
    return UserError(Exit.TIMED_OUT, text, "Give it more time with --timeout.")


def looked_at(path: str) -> tuple[Path, os.stat_result]:
    """The file behind a path, whatever links lead to it. Raises UserError (exit 8)."""
    try:
        real = Path(path).expanduser().resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(Exit.DISK, f"Cannot read {path}: {reason}.", "Check the path.") from error
    if not stat.S_ISREG(status.st_mode):
        raise UserError(Exit.DISK, f"{path} is not a file.", "Name the files themselves.")
    return real, status
