"""Our ZAP handler: the question libzmq asks about every CURVE handshake (RFC 27), answered here.

One per context, since libzmq knows only one `inproc://zeromq.zap.01`; several nodes in a process
are told apart by their ZAP domain. It answers from memory on the loop, about 20 microseconds a
handshake, a twentieth of what CURVE costs libzmq for it; a thread of its own would wait for the
interpreter lock longer than that. Half handshakes never get here. The user id it gives is the
key in hex, which libzmq puts on every frame. Who may come in is decided in `admission.py`.
"""

import asyncio
from collections import deque
from typing import Final

import zmq

from common.shell.net.admission import Admission, Verdict
from common.shell.net.descriptors import plain_host
from common.shell.net.edge import EdgeReader

ENDPOINT: Final = "inproc://zeromq.zap.01"
WAITING_MAX: Final = 4096  # handshakes that wait for their turn; half-open connections are fewer

_REQUESTS_PER_TURN: Final = 64
_VERSION: Final = b"1.0"
_FRAMES_CURVE: Final = 9

Envelope = tuple[bytes, bytes, bytes]
"""Routing id, request id and key of a handshake that waits for its answer."""


class Zap:
    """Answers ZAP requests for the domains that were registered; refuses all others."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._loop = loop
        self._domains: dict[bytes, Admission] = {}
        self._waiting: dict[bytes, deque[Envelope]] = {}
        self._socket = context.socket(zmq.ROUTER)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.RCVHWM, 0)
        try:
            self._socket.bind(ENDPOINT)
        except zmq.ZMQError:
            self._socket.close(linger=0)
            raise
        self._reader = EdgeReader(loop, self._socket, self._drain)

    def register(self, domain: bytes, admission: Admission) -> None:
        """Answer for a domain from now on."""
        self._domains[domain] = admission
        self._waiting[domain] = deque()

    def forget(self, domain: bytes) -> None:
        """Answer no more for a domain; who still waits is refused."""
        self._domains.pop(domain, None)
        for envelope in self._waiting.pop(domain, ()):
            self._answer(envelope, admit=False)

    def close(self) -> None:
        """Stop; sockets with a ZAP domain accept nobody after that."""
        self._reader.close()
        self._socket.unbind(ENDPOINT)  # a close alone gives the name back some time later
        self._socket.close(linger=0)

    def _drain(self) -> bool:
        for _ in range(_REQUESTS_PER_TURN):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            self._on_request(frames)
        return True

    def _on_request(self, frames: list[bytes]) -> None:
        if len(frames) != _FRAMES_CURVE or frames[7] != b"CURVE":
            if len(frames) > 3:
                self._answer((frames[0], frames[3], b""), admit=False)
            return
        routing_id, _, _, request_id, domain, host, _, _, key = frames
        envelope = (routing_id, request_id, key)
        admission = self._domains.get(domain)
        if admission is None:
            self._answer(envelope, admit=False)
            return
        queue = self._waiting[domain]
        verdict = admission.judge(key, plain_host(host.decode("ascii", "replace")), self._now())
        if verdict is Verdict.REFUSE or len(queue) >= WAITING_MAX:
            self._answer(envelope, admit=False)
        elif verdict is Verdict.ADMIT and not queue:
            self._answer(envelope, admit=True)
        else:
            queue.append(envelope)
            if len(queue) == 1:
                self._loop.call_later(admission.wait_s(), self._serve_waiting, domain)

    def _serve_waiting(self, domain: bytes) -> None:
        admission = self._domains.get(domain)
        if admission is None or self._reader.closed:
            return
        queue = self._waiting[domain]
        while queue and admission.pace(self._now()) is Verdict.ADMIT:
            self._answer(queue.popleft(), admit=True)
        if queue:
            self._loop.call_later(admission.wait_s(), self._serve_waiting, domain)

    def _answer(self, envelope: Envelope, *, admit: bool) -> None:
        routing_id, request_id, key = envelope
        status, text = (b"200", b"OK") if admit else (b"400", b"refused")
        user_id = key.hex().encode() if admit else b""
        self._socket.send_multipart(
            [routing_id, b"", _VERSION, request_id, status, text, user_id, b""], zmq.NOBLOCK
        )
        self._reader.wake()

    def _now(self) -> float:
        return self._loop.time()
