"""The errors that leave a function, and the exit codes that scripts rely on.

Three families. `RemoteProtocolError`: they broke the rules; it becomes a hang-up at the border.
`LocalProtocolError`: we broke them; it is a bug and loud. `UserError`: something a person can
mend; one sentence, one fix, one exit code. Disk trouble and timeouts of a protocol are events,
not exceptions.
"""

import enum


class Exit(enum.IntEnum):
    """Exit codes of both programs, a contract with scripts: append only."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    NOTHING_FOUND = 3
    UNFINISHED = 4
    CORRUPT = 5
    UNREACHABLE = 6
    REFUSED = 7
    DISK = 8
    NOT_RUNNING = 9
    BUSY = 10
    TIMED_OUT = 124
    INTERRUPTED = 130


class RemoteProtocolError(Exception):
    """The other end sent what the protocol does not allow; the link is not worth keeping."""


class LocalProtocolError(Exception):
    """We are about to do what the protocol does not allow: a bug of ours."""


class UserError(Exception):
    """What a person did or met: `message` is one sentence, `hint` one fix, `code` the exit code."""

    def __init__(self, code: Exit, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
