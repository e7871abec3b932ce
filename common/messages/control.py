"""A command and the daemon it asks, over the Unix socket of a node's home.

One `Call` names a method of the role's table; the daemon answers with any number of `Told`
(events of a stream), then exactly one `Answered` or `Failed`. `Hung` says that the asker left.
Parameters, events and results are JSON documents of the types that the method table gives: the
same documents that `--json` prints.
"""

from common.messages.fields import Count, Message, Name, Text


class Call(Message, frozen=True, array_like=True, gc=False):
    """Run this method."""

    call: Count
    method: Name
    params: bytes


class Told(Message, frozen=True, array_like=True, gc=False):
    """One event of a method that streams."""

    call: Count
    event: bytes


class Answered(Message, frozen=True, array_like=True, gc=False):
    """The result; nothing more will come for this call."""

    call: Count
    result: bytes


class Failed(Message, frozen=True, array_like=True, gc=False):
    """It could not be done: one sentence, one fix, the exit code."""

    call: Count
    code: int
    message: Text
    hint: Text = ""


class Hung(Message, frozen=True, array_like=True, gc=False):
    """The asker no longer waits for this call."""

    call: Count
