"""The driver: what one turn does, and what a failing performer must not do."""

import asyncio
from random import Random

import msgspec

from common.config import LinkConfig
from common.core import Asked, Core, Effect, Event, Notify, Stopped, Woke
from common.ids import Identity
from common.network import Network
from common.node import Node
from common.shell.drive import Driver


class Diligent:
    """A role that orders two things at once, and wants to be woken soon after."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.due: float | None = None

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

    def factory(_rng: Random) -> Core:
        return role

    identity = Identity(bytes(32))
    node = Node(
        identity.node,
        Network(),
        LinkConfig(),
        factories={"leaf": factory},
        start=("leaf",),
        rng=Random(1),
    )
    driver = Driver(loop, node, {Notify: perform})
    driver.feed(Stopped(1.0))
    await role.woken.wait()
    driver.feed(Asked(1, "leaf.nothing", msgspec.Struct()))
    driver.close()
    assert performed == ["second"]
    assert shouted == ["Notify could not be performed"]
