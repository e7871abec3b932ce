"""20: no secret byte in anything that is noted for a log or told to people."""

import base64
from collections.abc import Callable

from common.core import Notify
from common.messages.fields import Message
from common.messages.link import Hello
from deploy.sim.host import Host


class Secrets:
    """Looks for the host's private key in every form in which bytes are written."""

    def __init__(self, violate: Callable[[str, str], None], network_key: bytes = b"") -> None:
        self._violate = violate
        self._network_key = network_key
        self._forms: dict[bytes, tuple[str, ...]] = {}

    def sent(
        self, host: Host, _there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves: a hello proves the network's key, it does not show it."""
        if isinstance(message, Hello) and self._network_key and self._network_key in message.proof:
            self._violate("20: no secret is told", f"{host.name} shows the network's key")

    def noted(self, host: Host, note: Notify) -> None:
        """A line for the log."""
        self._look(host, repr(note.fields))

    def ended(self, host: Host, _call: int, outcome: object) -> None:
        """An answer."""
        self._look(host, repr(outcome))

    def _look(self, host: Host, text: str) -> None:
        node = host.identity.node
        if node not in self._forms:
            self._forms[node] = _written(bytes(host.identity._signing), host.identity.curve_secret)
        if any(form in text for form in self._forms[node]):
            self._violate("20: no secret is told", f"{host.name} tells its key")


def _written(*secrets: bytes) -> tuple[str, ...]:
    forms: list[str] = []
    for secret in secrets:
        forms += [secret.hex(), repr(secret)[2:-1], base64.b64encode(secret).decode()]
        forms.append(base64.b32encode(secret).decode().rstrip("=").lower())
    return tuple(forms)
