"""`leaf share`, `unshare` and `ls`. Paths are made absolute here: a daemon works elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from common.errors import Exit, UserError
from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.output import Output
from common.shell.desk.units import counted, size_text
from leaf.commands.node import PROGRAM, client, left_out_text

if TYPE_CHECKING:
    from leaf.methods import HashProgress, SharedRow


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--wait", is_flag=True, help="Until all is hashed and the parent knows it.")
@click.option("--as-folder", is_flag=True, help="Each PATH as one thing too: NAME.folder.")
@global_options
@pass_invocation
def share(invocation: Invocation, paths: tuple[str, ...], wait: bool, as_folder: bool) -> None:
    """Share files and folders; they stay shared over restarts."""
    from common.shell.disk.files import check_share

    output, home = invocation.output(), invocation.home_of(PROGRAM)
    checked = [
        check_share(Path(path).expanduser().absolute(), private=home.private) for path in paths
    ]
    if as_folder:
        _check_folders(checked)
    with output.bar("Hashing") as bar, client(invocation) as leaf:

        def show(progress: "HashProgress") -> None:
            output.event("progress", progress)
            remark = f"{progress.files_done} of {counted(progress.files_total, 'file')}"
            bar.update(progress.bytes_done, progress.bytes_total, remark)

        rows = leaf.share(checked, wait=wait, as_folder=as_folder, on_progress=show)
        found = leaf.status() if output.for_people else None
    _print_shared(output, rows)
    if found is not None and found.pending_files:
        pending = counted(found.pending_files, "file")
        output.talk(
            f"Still to hash: {pending} of all that is shared; `leaf status` shows how far it is."
        )
    if found is not None and found.left_out:
        output.talk(f"Left out: {left_out_text(found.left_out)}.")


def _check_folders(paths: list[Path]) -> None:
    if not paths:
        raise UserError(Exit.USAGE, "--as-folder needs a PATH.", "Name the folder to be one thing.")
    for path in paths:
        if not path.is_dir():
            hint = "Share it without --as-folder."
            raise UserError(Exit.USAGE, f"{path} is not a folder.", hint)


@click.command()
@click.argument("path")
@global_options
@pass_invocation
def unshare(invocation: Invocation, path: str) -> None:
    """Stop sharing a file or folder; no file is touched."""
    place, output = Path(path).expanduser().resolve(), invocation.output()
    with client(invocation) as leaf:
        rows = leaf.unshare(place)
    if output.for_people:
        output.line(str(place))
        output.talk(_unshared(place, rows))
    else:
        output.document(rows)


def _unshared(place: Path, rows: "list[SharedRow]") -> str:
    """What is shared no more, in a sentence."""
    from common.content.manifest import is_manifest_name

    of_itself = [row for row in rows if row.path == str(place)]
    inside = [row for row in rows if row.path != str(place)]
    is_list = bool(of_itself) and is_manifest_name(of_itself[0].name)  # of a folder's files
    found = [row for row in (inside if is_list else rows) if row.id]
    if not found:
        return "No share any more; no file of it was shared yet."
    them = f"{counted(len(found), 'file')}, {size_text(sum(row.size for row in found))}"
    return f"No share any more: {them}; on the disk nothing has changed."


@click.command()
@global_options
@pass_invocation
def ls(invocation: Invocation) -> None:
    """Everything that is shared; what was fetched is shared too, and shown by `downloads`."""
    with client(invocation) as leaf:
        rows = leaf.ls()
        output = invocation.output()
        _print_shared(output, rows)
        if output.for_people:
            found = leaf.status()
            if found.fetched_files:
                fetched = (
                    f"{counted(found.fetched_files, 'file')}, {size_text(found.fetched_bytes)}"
                )
                output.talk(f"Fetched, and shared too: {fetched}; `leaf downloads` shows them.")


def _print_shared(output: Output, rows: "list[SharedRow]") -> None:
    if not output.for_people:
        output.document(rows)
        return
    output.table(
        (">size", "path", "id"),
        [
            (size_text(row.size) if row.id else "-", row.path, row.id or _without_id(row))
            for row in rows
        ],
    )


def _without_id(row: "SharedRow") -> str:
    """Why a share has none."""
    return f"left out: {row.reason}" if row.reason else "being hashed"
