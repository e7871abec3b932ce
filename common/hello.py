"""The first message of every link: saying who we are, and holding others to what they say.

A hello is good if its Ed25519 key converts to the CURVE key that the handshake proved, the
network is ours and proven, and the version ranges overlap. This keeps no state of any link.
"""

from common.addresses import Address
from common.ids import NodeId, curve_key
from common.messages.link import Hello
from common.network import Network
from common.wire import PROTOCOL_VERSION


class Greeter:
    """Makes our hellos and checks theirs; `by_us` says which end dialled the link."""

    __slots__ = ("_agent", "_me", "_my_curve", "_network", "bulk_port", "control_port")

    def __init__(self, me: NodeId, network: Network, agent: str) -> None:
        self._me = me
        self._my_curve = curve_key(me)
        self._network = network
        self._agent = agent
        self.control_port = 0
        self.bulk_port = 0

    def hello(self, their_curve: bytes, seen_at: Address, *, by_us: bool) -> Hello:
        """Our hello on a link to `their_curve`, whom we see at `seen_at`."""
        dialler, acceptor = self._ends(their_curve, by_us=by_us)
        return Hello(
            version_min=PROTOCOL_VERSION,
            version_max=PROTOCOL_VERSION,
            node=self._me,
            network=self._network.name,
            proof=self._network.proof(dialler, acceptor, by_dialler=by_us),
            control_port=self.control_port,
            bulk_port=self.bulk_port,
            observed=seen_at,
            agent=self._agent,
        )

    def fault(self, hello: Hello, their_curve: bytes, *, by_us: bool) -> str | None:
        """Why their hello is not good enough, as a sentence for them; None if it is."""
        try:
            converts = curve_key(hello.node) == their_curve
        except ValueError:
            converts = False
        if not converts:
            return "the node's key is not the key of the link"
        if hello.node == self._me:
            return "this is yourself"
        if not hello.version_min <= PROTOCOL_VERSION <= hello.version_max:
            return f"this node speaks protocol version {PROTOCOL_VERSION}"
        dialler, acceptor = self._ends(their_curve, by_us=by_us)
        if not self._network.admits(
            hello.network, hello.proof, dialler, acceptor, by_dialler=not by_us
        ):
            return "this is another network, or its key is not yours"
        return None

    def _ends(self, their_curve: bytes, *, by_us: bool) -> tuple[bytes, bytes]:
        """The CURVE keys of a link, dialler first."""
        return (self._my_curve, their_curve) if by_us else (their_curve, self._my_curve)
