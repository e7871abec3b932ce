"""A disk that said no to a download, as the event that the cores know.

The kind is what a core decides by: wait for space, give up, or fetch pieces again; of a read that
failed, whether its file is still what it was. Errors of shares are not told here.
"""

import errno

from common.errors import UserError
from common.shell.disk.diskcalls import DiskError
from common.shell.disk.files import FileChangedError
from common.shell.disk.pairs import PartBusyError
from common.shell.disk.partfaults import NotProvenError, PiecesLostError, SyncFailedError
from common.storage import PartFailed

_DENIED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG),  # no such place, and none can be made
)
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def failed(download: int, error: UserError | NotProvenError) -> PartFailed:
    """The event of a disk that said no."""
    if not isinstance(error, UserError):
        return PartFailed(download, "broken", f"{error}.", "")
    lost = error.pieces if isinstance(error, PiecesLostError | SyncFailedError) else ()
    return PartFailed(download, _kind(error), error.message, error.hint, tuple(lost))


def unread(error: UserError) -> str:
    """The kind of a read that failed."""
    if isinstance(error, FileChangedError):
        return "changed"
    return "gone" if isinstance(error, DiskError) and error.errno in _GONE else "disk"


def _kind(error: UserError) -> str:
    if isinstance(error, PartBusyError):
        return "busy"
    if not isinstance(error, DiskError):
        return "broken"
    if error.full:
        return "full"
    if error.errno == errno.EEXIST:
        return "exists"
    return "denied" if error.errno in _DENIED else "broken"
