"""The ZAP handler, asked as libzmq asks it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import zmq

from common.shell.net.admission import Admission
from common.shell.net.zap import ENDPOINT, Zap

KEY = bytes(range(32))
DOMAIN = b"node-a"


class Asker:
    """Sends requests and reads answers on the loop."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.context = context
        self._socket = context.socket(zmq.DEALER)
        self._socket.connect(ENDPOINT)

    def ask(
        self, request: bytes = b"1", domain: bytes = DOMAIN, host: bytes = b"::ffff:8.8.8.8"
    ) -> None:
        """One request for a CURVE key."""
        self.send([b"", b"1.0", request, domain, host, b"", b"CURVE", KEY])

    def send(self, frames: list[bytes]) -> None:
        """Any request."""
        self._socket.send_multipart(frames)

    async def answer(self) -> list[bytes]:
        """The next answer: request id, status, text, user id."""
        while not self._socket.poll(0):
            await asyncio.sleep(0)
        frames = self._socket.recv_multipart()
        assert frames[:2] == [b"", b"1.0"]
        return frames[2:6]

    def close(self) -> None:
        """Done."""
        self._socket.close(linger=0)


@pytest.fixture
async def handler() -> AsyncIterator[tuple[Zap, Asker]]:
    """A handler that answers for one domain, and somebody who asks it."""
    with zmq.Context() as context:
        zap = Zap(context, asyncio.get_running_loop())
        zap.register(DOMAIN, policy())
        asker = Asker(context)
        yield zap, asker
        asker.close()
        zap.close()


def policy() -> Admission:
    """Three at once and a hundred a second; two at once for one public address."""
    return Admission(handshakes_per_s=100, handshakes_burst=3, address_per_s=0.001, address_burst=2)


async def test_an_admitted_key_becomes_the_user_id(handler: tuple[Zap, Asker]) -> None:
    """In hex: libzmq puts it on every frame of the connection."""
    _, asker = handler
    asker.ask(b"7")
    assert await asker.answer() == [b"7", b"200", b"OK", KEY.hex().encode()]


async def test_a_refused_key_gets_no_user_id(handler: tuple[Zap, Asker]) -> None:
    """Beyond the rate of its address."""
    _, asker = handler
    for request in (b"1", b"2", b"3"):
        asker.ask(request)
    answers = [await asker.answer() for _ in range(3)]
    assert [answer[1] for answer in answers] == [b"200", b"200", b"400"]
    assert answers[2] == [b"3", b"400", b"refused", b""]


async def test_requests_beyond_the_pace_are_answered_later_and_in_order(
    handler: tuple[Zap, Asker],
) -> None:
    """They wait; none is refused, none overtakes."""
    _, asker = handler
    requests = [b"%d" % n for n in range(10)]
    for request in requests:
        asker.ask(request, host=b"127.0.0.1")
    answers = [await asker.answer() for _ in requests]
    assert [answer[:2] for answer in answers] == [[request, b"200"] for request in requests]


@pytest.mark.parametrize(
    "frames",
    [
        [b"", b"1.0", b"1", DOMAIN, b"127.0.0.1", b"", b"NULL"],
        [b"", b"1.0", b"1", DOMAIN, b"127.0.0.1", b"", b"PLAIN", b"name", b"word"],
        [b"", b"1.0", b"1", b"another", b"127.0.0.1", b"", b"CURVE", KEY],
    ],
)
async def test_other_mechanisms_and_unknown_domains_are_refused(
    handler: tuple[Zap, Asker], frames: list[bytes]
) -> None:
    """Fail closed."""
    _, asker = handler
    asker.send(frames)
    assert (await asker.answer())[1] == b"400"


async def test_who_waits_when_a_domain_is_forgotten_is_refused(handler: tuple[Zap, Asker]) -> None:
    """Nobody waits for ever."""
    zap, asker = handler
    for request in (b"1", b"2", b"3", b"4"):
        asker.ask(request, host=b"127.0.0.1")
    assert [(await asker.answer())[1] for _ in range(3)] == [b"200"] * 3
    zap.forget(DOMAIN)
    assert await asker.answer() == [b"4", b"400", b"refused", b""]


async def test_a_second_handler_in_a_context_is_an_error(handler: tuple[Zap, Asker]) -> None:
    """libzmq would ask only one of them."""
    _, asker = handler
    with pytest.raises(zmq.ZMQError):
        Zap(asker.context, asyncio.get_running_loop())
