"""The driver: what one turn does, and what a failing performer must not do."""

import asyncio
import hashlib
from random import Random

import msgspec
import pytest

from common.addresses import Address
from common.config import LinkConfig
from common.core import Asked, DatagramReceived, Effect, Event, Notify, Role, Stopped, Woke
from common.doors import Door
from common.ids import Identity, NodeId
from common.messages.link import Echo
from common.network import Network
from common.node import Node
from common.shell.drive import Driver, Performer


class Diligent:
    """A role that orders two things at once, and wants to be woken soon after."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.due: float | None = None
        self.count = 0

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Order on `Stopped`, note `Woke`."""
        if isinstance(event, Woke):
            self.due = None
            self.woken.set()
        if isinstance(event, Stopped):
            self.due = now + 0.01
            return [Notify("first"), Notify("second")]
        return []

    def wakeup(self) -> float | None:
        """Soon."""
        return self.due

    def snapshot(self) -> msgspec.Struct:
        """Nothing."""
        return msgspec.Struct()

    def needs(self, _peer: NodeId, _door: Door) -> bool:
        """Nobody."""
        return False


class Busy(Diligent):
    """A role whose every message takes a while."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Compute something."""
        if isinstance(event, DatagramReceived):
            hashlib.pbkdf2_hmac("sha256", b"", b"", 20_000)
            self.count += 1
        return []


def driver_of(role: Role, performers: dict[type[Effect], Performer]) -> Driver:
    """A driver of a node that plays this role."""
    node = Node(
        Identity(bytes(32)).node,
        Network(),
        LinkConfig(),
        factories={"leaf": lambda _rng: role},
        start=("leaf",),
        rng=Random(1),
    )
    return Driver(asyncio.get_running_loop(), node, performers)


async def test_a_long_frame_does_not_keep_the_others_waiting() -> None:
    """What one frame brings is worked off in slices; nothing of it is lost or overtaken."""
    loop = asyncio.get_running_loop()
    role = Busy()
    driver = driver_of(role, {})
    events = [DatagramReceived(Address.of("127.0.0.1", n), Echo(n)) for n in range(1, 31)]
    driver._take(*events)
    assert role.count < len(events)  # the loop has its turn before the frame is done
    while role.count < len(events):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
    driver.close()


async def test_a_failing_performer_costs_only_itself() -> None:
    """The other effects are performed, the clock goes on, and the mistake is loud."""
    loop = asyncio.get_running_loop()
    shouted: list[str] = []
    loop.set_exception_handler(lambda _loop, context: shouted.append(str(context["message"])))
    role = Diligent()
    performed: list[str] = []

    def perform(notify: Notify) -> None:
        if notify.name == "first":
            raise OSError("no space left")
        performed.append(notify.name)

    driver = driver_of(role, {Notify: perform})
    driver.feed(Stopped(1.0))
    await role.woken.wait()
    driver.feed(Asked(1, "leaf.nothing", msgspec.Struct()))
    driver.close()
    assert performed == ["second"]
    assert shouted == ["Notify could not be performed"]


class Asleep(Diligent):
    """A role that counts how often it is asked when it is due."""

    def wakeup(self) -> float | None:
        """Soon."""
        self.count += 1
        return self.due


async def test_a_busy_node_is_not_asked_all_the_time_when_it_is_due() -> None:
    """Many turns, few questions; and a deadline that came nearer meanwhile is kept."""
    loop = asyncio.get_running_loop()
    role = Asleep()
    driver = driver_of(role, {Notify: lambda _notify: None})
    for number in range(1, 101):
        driver.feed(DatagramReceived(Address.of("127.0.0.1", number), Echo(number)))
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
    assert role.count < 100
    driver.feed(Stopped(1.0))
    await role.woken.wait()
    driver.close()


class Untiring(Diligent):
    """A role with a hundred turns of work, of which it does one whenever it is woken."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Begin at `Stopped`."""
        if isinstance(event, Woke):
            self.count += 1
        is_at_work = isinstance(event, Stopped | Woke) and self.count < 100
        self.due = now if is_at_work else None
        if self.count == 100:
            self.woken.set()
        return []


async def test_a_node_with_more_to_do_goes_on_in_the_next_turns() -> None:
    """It does not wait until it would be asked again when it is due."""
    loop = asyncio.get_running_loop()
    role = Untiring()
    driver = driver_of(role, {})
    driver.feed(Stopped(1.0))
    turns = 0
    while not role.woken.is_set():
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
        turns += 1
    assert turns < 10 * role.count
    driver.close()


@pytest.mark.parametrize("is_due", [False, True])
async def test_who_is_closed_is_driven_no_more(is_due: bool) -> None:
    """Nobody asks when it is due, nor wakes it, and what its sockets still bring is lost."""
    loop = asyncio.get_running_loop()
    role = Asleep()
    driver = driver_of(role, {Notify: lambda _notify: None})
    driver.feed(Stopped(1.0))  # it wants to be woken soon
    if is_due:
        driver._wake()
    driver.close()
    asked = role.count
    for _ in range(3):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
    driver.feed(Woke())
    assert role.count == asked
    assert not role.woken.is_set()
