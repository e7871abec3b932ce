"""What all nodes of one process share: the ZeroMQ context, its ZAP handler, the one ear for
monitors, and the watchdog.

Invariant: no ROUTER is made before libzmq's routing ids are unguessable and the library was found
fit (4.3.5 or newer, with CURVE). Transports on the same context get the same switchboard; the last
one to leave closes it. It knows nothing of links.
"""

import asyncio
import ctypes
import itertools
import secrets
import weakref
from typing import Final

import zmq

from common.shell.net.admission import Admission
from common.shell.net.descriptors import raise_descriptor_limit
from common.shell.net.monitors import Monitors
from common.shell.net.watch import Watch
from common.shell.net.zap import Zap

LIBZMQ_MIN: Final = (4, 3, 5)

Context = zmq.Context[zmq.Socket[bytes]]

_domains = itertools.count(1)
_boards: "weakref.WeakKeyDictionary[Context, Switchboard]" = weakref.WeakKeyDictionary()
_shared: list[Context] = []
_seeded: list[bool] = []


def seed_routing_ids() -> None:
    """Make the ids that ROUTERs give out unguessable; before the first ROUTER of the process.

    libzmq takes the first from `rand()`, which nobody seeds, and a peer that claims the next one
    ends the process by an assertion (`tests/bench/attack.py --routing-id` shows it).
    """
    if not _seeded:
        ctypes.CDLL(None).srand(ctypes.c_uint(secrets.randbits(32)))
        _seeded.append(True)


def require_libzmq() -> None:
    """Raise RuntimeError if this libzmq must not meet strangers."""
    if zmq.zmq_version_info() < LIBZMQ_MIN:
        raise RuntimeError(f"libzmq {zmq.zmq_version()} is too old: 4.3.5 or newer is needed")
    if not zmq.has("curve"):
        raise RuntimeError("this libzmq was built without CURVE: no link could be encrypted")


def shared_context() -> Context:
    """The context of this process, with room for as many sockets as libzmq can have."""
    if not _shared or _shared[0].closed:
        seed_routing_ids()
        context = zmq.Context()
        context.set(zmq.MAX_SOCKETS, context.get(zmq.SOCKET_LIMIT))
        _shared[:] = [context]
    return _shared[0]


class Switchboard:
    """The shared parts; made by `join`, left by `leave`."""

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        seed_routing_ids()
        require_libzmq()
        self.context = context
        self.loop = loop
        self.descriptors_max = raise_descriptor_limit()
        self.zap = Zap(context, loop)
        self.monitors = Monitors(context, loop)
        self.watch = Watch(loop)
        self._members = 0

    @classmethod
    def join(cls, context: Context, loop: asyncio.AbstractEventLoop) -> "Switchboard":
        """The switchboard of a context; RuntimeError if another loop runs it."""
        board = _boards.get(context)
        if board is None:
            board = _boards[context] = cls(context, loop)
        if board.loop is not loop:
            raise RuntimeError("one ZeroMQ context cannot be driven by two event loops")
        board._members += 1
        return board

    def leave(self) -> None:
        """Close it all when nobody is left."""
        self._members -= 1
        if self._members == 0:
            _boards.pop(self.context, None)
            self.zap.close()
            self.monitors.close()
            self.watch.close()

    def enter(self, admission: Admission) -> bytes:
        """A ZAP domain of its own for a node with this policy."""
        domain = b"node-%d" % next(_domains)
        self.zap.register(domain, admission)
        return domain
