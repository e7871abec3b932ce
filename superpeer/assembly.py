"""A super-peer put together: settings, home, role and daemon; here all floors meet."""

from collections.abc import Mapping
from random import Random
from typing import Final

from common.config import scaled
from common.core import Role
from common.ids import node_text
from common.node import SUPERPEER
from common.shell.daemon import Daemon
from common.shell.desk.options import Invocation, version
from common.shell.desk.resolve import listen_address
from common.shell.desk.settings import network_of
from common.shell.desk.starting import (
    Ready,
    elsewhere,
    given,
    load,
    log_of,
    say_ready,
    settle,
)
from superpeer.methods import METHODS
from superpeer.role import SuperPeer
from superpeer.settings import SuperPeerOptions

PROGRAM: Final = "superpeer"


def serve(invocation: Invocation, flags: Mapping[str, object]) -> int:
    """`superpeer run`: blocks until it is stopped; the exit code. Raises UserError."""
    settings = load(SuperPeerOptions, invocation, PROGRAM, flags)
    log = log_of(invocation, settings.node.log_format)
    config = scaled(settings.config, settings.config.time_scale)
    network = network_of(settings.node, config.network)
    listen, _ = listen_address(settings.node.listen)
    joins = given(settings, "join", settings.own.join, listen[0], log)
    other_ways = elsewhere(settings.node)
    home = invocation.home_of(PROGRAM)
    identity = settle(home)

    def superpeer(rng: Random) -> Role:
        return SuperPeer(
            identity,
            config=config,
            network=network,
            rng=rng,
            seeds=joins,
            version=version(),
            steps=other_ways.steps(listen[0]),
        )

    daemon = Daemon(
        home=home,
        identity=identity,
        network=network,
        config=config,
        roles={SUPERPEER: superpeer},
        start=(SUPERPEER,),
        methods=METHODS,
        listen=listen,
        port_asked=True,  # the default too: others look for a super-peer there
        bulk=False,
        on_serving=lambda daemon: say_ready(Ready(node_text(identity.node), str(daemon.listen))),
        on_notify=log.notify,
        agent=f"superpeer/{version()}",
        elsewhere=other_ways,
    )
    return daemon.run()
