"""Events and effects of serving over plain HTTP: between the door in the shell and a role.

The door reads heads and writes what it is given; a role says what that is. A request is known by
the number that the door gave it. It gets a `WebHead`, then, unless that was final, one `WebBody`
at a time: the next only after `WebTaken`, so that a slow reader holds no more than one.
"""

from typing import Final

from common.core import Effect, Event
from common.web.http import Fields, Request

SPAN_BYTES_MAX: Final = 256 * 1024  # of one WebBody; larger ones are no faster here


class WebAsked(Event, frozen=True):
    """Somebody asks for this."""

    request: int
    head: Request


class WebTaken(Event, frozen=True):
    """The last `WebBody` has left our hands."""

    request: int


class WebLeft(Event, frozen=True):
    """This request is over, answered or not."""

    request: int


class WebHead(Effect, frozen=True):
    """The beginning of an answer; with `final` its end too, after `content`."""

    request: int
    status: int
    fields: Fields
    content: bytes = b""
    final: bool = False


class WebBody(Effect, frozen=True):
    """The next bytes of the file; the last ones are `final`."""

    request: int
    data: memoryview
    final: bool = False


class WebBreak(Effect, frozen=True):
    """What was begun cannot be ended truly: cut the connection, so that nobody takes it for all."""

    request: int
