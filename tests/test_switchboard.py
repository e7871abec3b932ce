"""What the nodes of one process share."""

import asyncio
from collections.abc import Iterator

import pytest
import zmq

from common.shell.net.switchboard import Context, Switchboard, shared_context
from tests.recorder import End


@pytest.fixture
def context() -> Iterator[Context]:
    """A context of the test's own."""
    with zmq.Context() as own:
        yield own


async def test_nodes_on_one_context_share_one_switchboard(context: Context) -> None:
    """The last to leave closes it; whoever comes after gets a new one."""
    loop = asyncio.get_running_loop()
    first, second = Switchboard.join(context, loop), Switchboard.join(context, loop)
    assert first is second
    first.leave()
    assert Switchboard.join(context, loop) is second
    second.leave()
    second.leave()
    third = Switchboard.join(context, loop)
    assert third is not first
    third.leave()


async def test_a_context_has_one_loop(context: Context) -> None:
    """Sockets of ZeroMQ belong to one thread."""
    board = Switchboard.join(context, asyncio.get_running_loop())
    other = asyncio.new_event_loop()
    with pytest.raises(RuntimeError):
        Switchboard.join(context, other)
    other.close()
    board.leave()


async def test_contexts_do_not_disturb_each_other(context: Context) -> None:
    """Two nodes that share nothing reach each other like any others."""
    here, there = End(context=context), End()
    await here.link_to(there, there.bind())
    here.transport.close()
    there.transport.close()


async def test_many_transports_come_and_go_on_one_context(context: Context) -> None:
    """Nothing of a closed one is in the way of the next, and no monitor blocks libzmq."""
    for _ in range(30):
        here, there = End(context=context), End(context=context)
        await here.link_to(there, there.bind())
        here.transport.close()
        there.transport.close()


def test_the_shared_context_has_room_for_a_crowd() -> None:
    """Three sockets a link, thousands of links."""
    assert shared_context() is shared_context()
    assert int(shared_context().get(zmq.MAX_SOCKETS)) > 60_000
