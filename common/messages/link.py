"""What every link speaks before and beneath the conversations of the roles.

A dialler sends `Hello`; the other end checks it and answers with its own `Hello` or with
`Refused` and a hang-up. After that each end sends `Echo` when it has sent nothing else for a
second, and a link that brought no frame for 2.5 s is dead. `Ping` and `Pong` are datagrams.
"""

from typing import Annotated

from msgspec import Meta

from common.addresses import Address
from common.limits import HOSTS_PER_LIST_MAX, PING_BYTES
from common.messages.fields import (
    Bytes16,
    Bytes32,
    Contact,
    Contacts,
    Count,
    Hops,
    Message,
    Name,
    Port,
    Text,
)

Version = Annotated[int, Meta(ge=0, le=65535)]


class Hello(Message, frozen=True, array_like=True, gc=False):
    """Who I am, which protocol versions I speak, and that I belong to this network."""

    version_min: Version
    version_max: Version
    node: Bytes32
    network: Name
    proof: Annotated[bytes, Meta(max_length=32)]  # HMAC with the network's key; empty without one
    control_port: Port
    bulk_port: Port  # 0: this node has no bulk door
    observed: Address  # where I see you
    agent: Name = ""  # program and version, for people


class Refused(Message, frozen=True, array_like=True, gc=False):
    """Why this link ends before it began; sent once, then the link is hung up."""

    reason: Name


class Echo(Message, frozen=True, array_like=True, gc=False):
    """I live; `stamp` is my clock, `heard` your last stamp and `held_us` how long I kept it."""

    stamp_us: Count
    heard_us: Count = 0  # 0: no stamp of yours yet
    held_us: Count = 0


class Bye(Message, frozen=True, array_like=True, gc=False):
    """I am leaving on purpose; do not count it as a crash."""

    reason: Name


class Ping(Message, frozen=True, array_like=True, gc=False):
    """Datagram: who are you? Padded, so that the pong is never longer."""

    nonce: Bytes16
    network: Name
    padding: Annotated[bytes, Meta(max_length=PING_BYTES)] = b""


class Pong(Message, frozen=True, array_like=True, gc=False):
    """Datagram: my key, my load, and the super-peers I know."""

    nonce: Bytes16
    network: Name
    node: Bytes32
    superpeer: Contact | None  # me if I am one, else my parent
    leaves: Count
    leaves_max: Count
    uptime_s: Count
    observed: Address  # where your ping came from
    others: Contacts = ()
    refusal: Text = ""  # why we would not link; the fields above are then empty
    hops: Annotated[tuple[Hops, ...], Meta(max_length=HOSTS_PER_LIST_MAX)] = ()  # to each of others
