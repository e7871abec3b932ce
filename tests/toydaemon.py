"""A daemon that only carries calls: the real carrier, and answers that a test gives."""

import asyncio
import threading
from collections.abc import Callable

import msgspec
import zmq

from common.methods import Methods
from common.shell.desk.control import ControlServer
from common.shell.desk.home import Home
from common.shell.net.monitors import Monitors

Handler = Callable[[ControlServer, int, str, msgspec.Struct], None]


class ToyDaemon:
    """Serves a home's socket in a thread of its own and remembers what it saw."""

    def __init__(self, home: Home, methods: Methods, handler: Handler) -> None:
        self.calls: list[tuple[str, msgspec.Struct]] = []
        self.left: list[int] = []
        self.called = threading.Event()
        self.gone = threading.Event()
        self._home = home
        self._methods = methods
        self._handler = handler
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End the daemon; twice is once."""
        if not self._loop.is_closed():
            self.stop_soon()
            self._thread.join()

    def stop_soon(self) -> None:
        """End it after what it is doing; may be called by the handler."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def soon(self, say: Callable[[], None]) -> None:
        """Say something later, from any thread."""
        self._loop.call_soon_threadsafe(say)

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        monitors = Monitors(context, self._loop)
        self._server = ControlServer(
            self._loop,
            context,
            monitors,
            self._home.socket,
            self._methods,
            self._call,
            self._leave,
        )
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
        self._server.close()
        monitors.close()
        context.destroy(linger=1000)
        self._loop.close()

    def _call(self, call: int, method: str, params: msgspec.Struct) -> None:
        self.calls.append((method, params))
        self._handler(self._server, call, method, params)
        self.called.set()

    def _leave(self, call: int) -> None:
        self.left.append(call)
        self.gone.set()
