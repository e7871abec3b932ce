"""A disk that said no to a download, as the event that the cores know.

The kind is what a core decides by: wait for space, give up, or fetch pieces again. Errors that are
no answer to a download (a read, a share) are not told here.
"""

import errno

from common.errors import UserError
from common.shell.disk.diskcalls import DiskError
from common.shell.disk.pairs import PartBusyError
from common.shell.disk.partfaults import NotProvenError, PiecesLostError, SyncFailedError
from common.storage import PartFailed

_DENIED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG),  # no such place, and none can be made
)


def failed(download: int, error: UserError | NotProvenError) -> PartFailed:
    """The event of a disk that said no."""
    if not isinstance(error, UserError):
        return PartFailed(download, "broken", f"{error}.", "")
    lost = error.pieces if isinstance(error, PiecesLostError | SyncFailedError) else ()
    return PartFailed(download, _kind(error), error.message, error.hint, tuple(lost))


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
