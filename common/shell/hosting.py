"""The doors of one node: control (TCP and UDP on one number) and bulk, opened in one go.

Used by a daemon, and by whoever puts many nodes into one process. A port that was asked for is
taken or refused; any other gives way to a free one.
"""

import asyncio
import errno
from dataclasses import dataclass
from functools import partial

from common.addresses import Address
from common.doors import Door
from common.errors import Exit, UserError
from common.ids import Identity
from common.shell.desk.holder import describe_holder, unbound
from common.shell.drive import Driver
from common.shell.net.datagrams import Datagrams, bind_pair
from common.shell.net.monitors import Monitors
from common.shell.net.sockets import Transport, TransportLimits
from common.shell.net.switchboard import Context, Switchboard, shared_context


@dataclass(frozen=True, slots=True)
class Doors:
    """What `open_doors` opened."""

    transport: Transport
    datagrams: Datagrams
    control: Address
    bulk: Address | None
    context: Context
    board: Switchboard

    @property
    def monitors(self) -> Monitors:
        """The one ear for the monitors of this process."""
        return self.board.monitors

    def close(self) -> None:
        """Close every door and link."""
        self.datagrams.close()
        self.transport.close()
        self.board.leave()


def open_doors(
    loop: asyncio.AbstractEventLoop,
    identity: Identity,
    driver: Driver,
    listen: tuple[str, int],
    *,
    port_asked: bool,
    bulk: bool,
    limits: TransportLimits | None = None,
) -> Doors:
    """Bind all doors of a node to `listen` (an IP literal and a port) and give them to `driver`.

    Raises UserError, exit 10, naming the holder where a port that was asked for is taken.
    """
    context = shared_context()
    board = Switchboard.join(context, loop)
    transport = Transport(
        loop,
        identity.curve_secret,
        identity.curve_public,
        limits or TransportLimits(),
        driver,
        context=context,
    )
    datagrams = Datagrams(loop, driver.datagram)
    try:
        control = _control_door(transport, datagrams, listen, port_asked=port_asked)
        bulk_at = _bulk_door(transport, control) if bulk else None
    except BaseException:
        datagrams.close()
        transport.close()
        board.leave()
        raise
    driver.attach(transport, datagrams.send)
    return Doors(transport, datagrams, control, bulk_at, context, board)


def _control_door(
    transport: Transport, datagrams: Datagrams, listen: tuple[str, int], *, port_asked: bool
) -> Address:
    host, port = listen
    bind = partial(transport.bind, Door.CONTROL)
    try:
        return Address.of(*bind_pair(bind, datagrams, host, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE or port_asked:
            raise _refusal(host, port, error) from error
        return Address.of(*bind_pair(bind, datagrams, host, 0))


def _bulk_door(transport: Transport, control: Address) -> Address:
    """The next port, or a free one."""
    for port in (control.port + 1, 0):
        try:
            return Address.of(*transport.bind(Door.BULK, control.host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _refusal(control.host, port, error) from error
    raise UserError(Exit.BUSY, f"No port is free on {control.host}.", "End a program there.")


def _refusal(host: str, port: int, error: OSError) -> UserError:
    if error.errno == errno.EADDRINUSE:
        holder = describe_holder(port, host)
        return UserError(
            Exit.BUSY,
            f"{Address.of(host, port)} is taken by {holder}.",
            "Stop that program, or listen elsewhere with --listen HOST:PORT.",
        )
    return UserError(
        Exit.USAGE,
        f"Cannot listen on {Address.of(host, port)}: {error.strerror or error}.",
        unbound(error, "--listen"),
    )
