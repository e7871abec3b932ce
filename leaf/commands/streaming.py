"""`leaf get --stream`: a file's bytes in order on stdout while the daemon fetches it.

The daemon says how much of the partial file is proven from its first byte on, and this reads just
that from the disk: nothing large goes over the control socket, and no byte that is not proven goes
out. The path is opened anew for each stretch, since the file may have got its final name meanwhile,
or be another one after trouble of the disk. Reading ends when the reader does; the daemon goes on.
"""

import os
import sys
from typing import TYPE_CHECKING, Final

from common.content.manifest import MAGIC
from common.errors import Exit, UserError
from common.shell.desk.options import Invocation
from common.shell.desk.output import unwritten

if TYPE_CHECKING:
    from leaf.methods import GetProgress, GetResult

STRETCH_BYTES: Final = 1024 * 1024  # read and written at once; wild guess
USAGE_HINT: Final = "Pipe it to what plays it, as `leaf get ID --stream | mpv -`, or add --detach."


def check_stdout(invocation: Invocation) -> None:
    """Raises UserError where a file does not belong on stdout: on a terminal, which it might
    drive, and where a JSON document is to stand."""
    if invocation.json or invocation.jsonl:
        message = "--stream writes the file to stdout, where --json would write its document."
        raise UserError(Exit.USAGE, message, "Leave --json out, or add --detach.")
    if sys.stdout.isatty():
        message = "--stream writes the file to stdout, and that is a terminal."
        raise UserError(Exit.USAGE, message, USAGE_HINT)


class Outflow:
    """The beginning of one file, written to a descriptor once and in order."""

    def __init__(self, out: int | None = None) -> None:
        """`out`: the descriptor; stdout if it is not given."""
        self._out = sys.stdout.fileno() if out is None else out
        self._sent = 0
        self._may_be_folder = True

    def follow(self, progress: "GetProgress") -> None:
        """Write what is proven by now. BrokenPipeError where nobody reads any more, UserError for a
        folder and for a stdout that takes no more."""
        if progress.files:  # its list is read: the daemon says so too
            raise _is_folder()
        if progress.part and progress.ready_bytes > self._sent:
            self._write(progress.part, progress.ready_bytes, progress.size)

    def finish(self, got: "GetResult") -> None:
        """Write the rest of a file that is there; nothing of one that was skipped."""
        if got.files is not None:
            raise _is_folder()
        if not got.verified:
            return
        self._may_be_folder = False
        self._write(got.path, got.size, got.size)
        if self._sent < got.size:
            message = f"{got.path} cannot be read as far as it was fetched."
            raise UserError(Exit.DISK, message, "Look whether it was moved or changed.")

    def _write(self, path: str, ready_bytes: int, size: int) -> None:
        """What is new of the first `ready_bytes`, as far as the file at `path` has them."""
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - the same, and not buffered
                if os.fstat(file.fileno()).st_size > size or self._holds(file.fileno(), size):
                    return
                while self._sent < ready_bytes:
                    wanted = min(STRETCH_BYTES, ready_bytes - self._sent)
                    data = os.pread(file.fileno(), wanted, self._sent)
                    if not data:
                        return
                    self._put(data)
        except FileNotFoundError:
            return  # it has just got its final name: the result tells it

    def _holds(self, file: int, size: int) -> bool:
        """Whether nothing goes out before it is known what this is: what was asked for by its
        content alone may be the list of a folder."""
        if self._may_be_folder and not self._sent:
            return os.pread(file, min(len(MAGIC), size), 0) == MAGIC
        return False

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                count = os.write(self._out, view)
            except BrokenPipeError:
                raise  # who reads has seen enough
            except OSError as error:
                raise unwritten(error) from error
            self._sent += count
            view = view[count:]


def _is_folder() -> UserError:
    text = "This is a folder, and only a single file can be streamed."
    return UserError(Exit.USAGE, text, "Leave --stream out.")
