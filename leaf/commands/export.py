"""`leaf export`: a file as other programs fetch it, without a daemon and without sharing it.

A magnet link and a Metalink are text and go to stdout. A `.torrent` file is bytes: they go to
stdout where that is a file or a pipe, never to a terminal. With `-o` each goes into a file, which
never replaces another: the very same artefact there already is success, anything else an error.
"""

import base64
import os
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from common.errors import Exit, UserError
from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.output import Output, unwritten
from leaf.commands.identify import looked_at, timed_out

if TYPE_CHECKING:
    from common.content.merkle import FileTree
    from common.content.metalink import PlainHashes


class Kind(StrEnum):
    """What a file can be exported as."""

    TORRENT = "torrent"
    MAGNET = "magnet"
    METALINK = "metalink"


class Exported(msgspec.Struct):
    """The document of `--json`; `content` is the artefact where it was not written to a file.

    A torrent's is Base64, the others' is the text itself. `urls` are as they stand in it.
    """

    path: str
    name: str
    size: int
    root: str
    id: str
    link: str
    kind: str
    urls: list[str]
    written: str | None
    content: str | None


class Hashed(NamedTuple):
    """What was learned of a file by reading it once; `plain` only where that was wanted."""

    tree: "FileTree"
    plain: "PlainHashes | None"


@click.command("export")
@click.argument("file", metavar="FILE")
@click.option("--torrent", is_flag=True, help="A BitTorrent v2 .torrent file.")
@click.option("--magnet", is_flag=True, help="A magnet link.")
@click.option("--metalink", is_flag=True, help="A Metalink (RFC 5854), for aria2 and others.")
@click.option("--url", "urls", multiple=True, metavar="URL", help="A web server that has the file.")
@click.option(
    "-o", "to", metavar="PATH", help="Into this file, or into this folder; default stdout."
)
@global_options
@pass_invocation
def export(
    invocation: Invocation,
    file: str,
    torrent: bool,
    magnet: bool,
    metalink: bool,
    urls: tuple[str, ...],
    to: str | None,
) -> None:
    """A file as BitTorrent programs, aria2 and others fetch it.

    A URL that ends in / is a folder with the file in it. A leaf that runs with --http serves what
    it shares at http://HOST:PORT/f/ROOT/NAME; `leaf id --json` tells the root.
    """
    output = invocation.output()
    kind = _kind(torrent=torrent, magnet=magnet, metalink=metalink)
    if kind is Kind.TORRENT and to is None and output.for_people and sys.stdout.isatty():
        text = "A .torrent file is no text for a terminal."
        raise UserError(Exit.USAGE, text, "Say where it goes with -o PATH, for example -o .")
    name = Path(file).name
    seeds = _seeds(urls, name)
    with output.bar("Hashing") as bar:
        hashed = hashed_file(file, bar.update, invocation.timeout, plain=kind is Kind.METALINK)
    artefact = _artefact(kind, name, hashed, seeds)
    written = None if to is None else _written(_target(to, name, kind), artefact)
    _remark(output, kind, hashed, seeds)
    if output.for_people:
        _print(output, artefact, written)
    else:
        output.document(_document(file, kind, hashed, seeds, artefact, written))


def hashed_file(
    path: str,
    on_bytes: Callable[[int, int], None],
    timeout_s: float | None,
    *,
    plain: bool,
    clock: Callable[[], float] = time.monotonic,
) -> Hashed:
    """Read a file once; with `plain` for its plain hashes too. Raises UserError (exit 8 or 124)."""
    from common.content.merkle import FileHasher
    from common.content.metalink import PlainHasher
    from common.shell.disk.files import FileStamp
    from common.shell.disk.scan import FoundFile, HashCancelledError, read_through

    real, status = looked_at(path)
    size, done = status.st_size, 0
    _check_size(path, size)
    deadline = None if timeout_s is None else clock() + timeout_s
    tree, plainly = FileHasher(size), PlainHasher(size) if plain else None

    def take(view: memoryview) -> None:
        nonlocal done
        tree.update(view)
        if plainly is not None:
            plainly.update(view)
        done += len(view)
        on_bytes(done, size)

    def cancelled() -> bool:
        return deadline is not None and clock() >= deadline

    try:
        read_through(real.parent, FoundFile(real.name, FileStamp.of(status)), take, cancelled)
    except HashCancelledError:
        raise timed_out(timeout_s) from None
    return Hashed(tree.finish(), plainly.finish() if plainly is not None else None)


def _check_size(path: str, size: int) -> None:
    from common.limits import FILE_SIZE_MAX

    if size > FILE_SIZE_MAX:
        text = f"{path} has {size} bytes, more than the {FILE_SIZE_MAX} that one file may have."
        raise UserError(Exit.USAGE, text, "Split it.")


def _kind(**chosen: bool) -> Kind:
    kinds = [Kind(name) for name, wanted in chosen.items() if wanted]
    if len(kinds) != 1:
        text = f"Say one thing to export as, not {'several' if kinds else 'none'}."
        raise UserError(Exit.USAGE, text, "Give --torrent, --magnet or --metalink.")
    return kinds[0]


def _seeds(urls: tuple[str, ...], name: str) -> tuple[str, ...]:
    from common.content.webseeds import web_seeds
    from common.names import safe_name

    try:
        return web_seeds(urls, safe_name(name))
    except ValueError as error:
        hint = "Give --url the address of the file on a web server."
        raise UserError(Exit.USAGE, f"{error}.", hint) from error


def _artefact(kind: Kind, name: str, hashed: Hashed, urls: tuple[str, ...]) -> bytes:
    from common.content.metainfo import torrent_file
    from common.content.metalink import metalink

    tree = hashed.tree
    if kind is Kind.TORRENT:
        return torrent_file(name, tree, urls)
    if hashed.plain is not None:
        link = _link(name, tree, ())
        return metalink(name, tree.size, hashed.plain, urls, link).encode()
    return f"{_link(name, tree, urls)}\n".encode()


def _link(name: str, tree: "FileTree", urls: tuple[str, ...]) -> str:
    from common.content.torrent import LINK_CHARS_MAX, magnet

    link = magnet(name, tree.root, tree.size, urls=urls)
    if len(link) > LINK_CHARS_MAX:
        text = (
            f"The link would have {len(link)} characters, more than the {LINK_CHARS_MAX} allowed."
        )
        raise UserError(Exit.USAGE, text, "Give fewer or shorter --url.")
    return link


def _target(to: str, name: str, kind: Kind) -> Path:
    """A folder gets the file under the name that programs expect."""
    from common.names import safe_name

    path = Path(to).expanduser()
    if to.endswith(os.sep):
        from common.shell.disk.diskcalls import naming

        with naming("make", path):
            path.mkdir(parents=True, exist_ok=True)
    if not path.is_dir() and not to.endswith(os.sep):
        return path
    tail = ".meta4" if kind is Kind.METALINK else f".{kind.value}"
    return path / (safe_name(name) + tail)


def _written(path: Path, artefact: bytes) -> Path:
    from common.shell.disk.diskcalls import naming

    try:
        with naming("write", path), path.open("xb") as file:
            try:
                file.write(artefact)
            except BaseException:
                path.unlink()  # it was made here, and half of it is worth nothing
                raise
    except UserError as error:
        if not path.exists():
            raise
        with naming("read", path):
            same = path.is_file() and path.read_bytes() == artefact
        if not same:
            hint = "Nothing is replaced: remove it, or say another -o."
            raise UserError(Exit.DISK, f"{path} is there already.", hint) from error
    return path


def _remark(output: Output, kind: Kind, hashed: Hashed, urls: tuple[str, ...]) -> None:
    """What a person would wonder about later."""
    if kind is Kind.METALINK and not urls:
        output.talk("No --url was given: this Metalink names only the magnet link.")
    if kind is Kind.TORRENT and not hashed.tree.size:
        output.talk("The file is empty: libtorrent and others load no torrent of nothing.")


def _print(output: Output, artefact: bytes, written: Path | None) -> None:
    if written is not None:
        output.line(str(written))
        return
    try:
        sys.stdout.buffer.write(artefact)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise  # who reads has seen enough
    except OSError as error:
        raise unwritten(error) from error


def _document(
    path: str,
    kind: Kind,
    hashed: Hashed,
    urls: tuple[str, ...],
    artefact: bytes,
    written: Path | None,
) -> Exported:
    from common.content.torrent import file_id
    from common.names import safe_name

    tree, name = hashed.tree, Path(path).name
    content = None
    if written is None:
        binary = kind is Kind.TORRENT
        content = base64.b64encode(artefact).decode() if binary else artefact.decode().rstrip("\n")
    return Exported(
        path=path,
        name=safe_name(name),
        size=tree.size,
        root=tree.root.hex(),
        id=file_id(tree.root, tree.size),
        link=_link(name, tree, urls),
        kind=kind.value,
        urls=list(urls),
        written=str(written) if written is not None else None,
        content=content,
    )
