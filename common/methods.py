"""How a method that a command may call is described; each role has one table of them."""

from typing import NamedTuple

import msgspec


class Method(NamedTuple):
    """A row of a role's method table: typed parameters in, a stream of events, a typed result."""

    params: type[msgspec.Struct]
    result: object  # the result's type, as msgspec understands it
    event: object | None = None  # the type of the events, where it streams


Methods = dict[str, Method]
