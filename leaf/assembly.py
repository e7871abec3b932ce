"""A leaf put together: settings, home, role and daemon; here all floors meet.

`serve` is `leaf run`. `pass_through` does one thing with a passing leaf: a fresh key in a
temporary home that goes when it is done; its daemon runs in the main thread, which signals reach,
and the command beside it in a thread of its own.
"""

import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final, Generic, TypeVar

import msgspec

from common.config import Config, scaled
from common.core import Notify, Role
from common.errors import Exit, UserError
from common.ids import Identity
from common.methods import Methods
from common.network import Network
from common.node import LEAF, SUPERPEER, RoleFactory
from common.schedule import LimitsRecord
from common.shell.daemon import Daemon
from common.shell.desk.home import Home, home_at
from common.shell.desk.logs import Log
from common.shell.desk.options import Invocation, version
from common.shell.desk.resolve import any_port, listen_address, web_address
from common.shell.desk.settings import FLAG, Settings, network_of
from common.shell.desk.starting import (
    Joining,
    LeafReady,
    elsewhere,
    epoch,
    given,
    load,
    log_of,
    say_ready,
    settle,
)
from common.shell.disk.files import check_share
from leaf.client import LeafClient
from leaf.commands.node import with_doubt
from leaf.methods import METHODS, Status
from leaf.role import Leaf
from leaf.settings import LeafOptions

PROGRAM: Final = "leaf"
READY_S: Final = 10.0  # READY is said by then, with or without a parent
JOIN_WAIT_S: Final = 12.0  # the thread of a passing leaf ends soon after its daemon

T = TypeVar("T")


def serve(invocation: Invocation, flags: Mapping[str, object]) -> int:
    """`leaf run`: blocks until it is stopped; the exit code."""
    home = invocation.home_of(PROGRAM)
    settings = load(LeafOptions, invocation, PROGRAM, flags)
    log = log_of(invocation, settings.node.log_format)
    wait_s = READY_S * settings.config.time_scale
    return _daemon(home, settings, log, wait_s=wait_s, say=say_ready).run()


def pass_through(
    invocation: Invocation, flags: Mapping[str, object], work: Callable[[LeafClient], T]
) -> T:
    """What `work` gives, asked of a leaf that lives only for that. Raises UserError."""
    flags = {"promote": False, "listen": any_port(), "share": (), "http": "", **flags}
    settings = load(LeafOptions, invocation, PROGRAM, flags)
    with tempfile.TemporaryDirectory(prefix="leaf-") as folder:
        passing = _Passing(home_at(PROGRAM, Path(folder)), invocation.timeout, work)
        wait_s = READY_S * settings.config.time_scale
        if invocation.timeout is not None:
            wait_s = min(wait_s, invocation.timeout)
        log = Log(level="error")
        daemon = _daemon(
            passing.home,
            settings,
            log,
            wait_s=wait_s,
            say=passing.begin,
            hurried=True,
        )
        daemon.run()
        return passing.outcome(was_cut=daemon.was_signalled)


def _daemon(
    home: Home,
    settings: Settings[LeafOptions],
    log: Log,
    *,
    wait_s: float,
    say: Callable[[LeafReady], None],
    hurried: bool = False,
) -> Daemon:
    """The daemon, not yet run; `hurried` waits for no parent once somebody has refused us."""
    own, config = settings.own, scaled(settings.config, settings.config.time_scale)
    network = network_of(settings.node, config.network)
    shares = tuple(str(check_share(Path(path), private=home.private)) for path in own.share)
    downloads = _downloads_dir(home, own)
    listen, port_asked = listen_address(settings.node.listen)
    supers = given(settings, "super", own.supers, listen[0], log)
    steps = (other_ways := elsewhere(settings.node)).steps(listen[0])
    identity = settle(home)
    as_superpeer = {SUPERPEER: _superpeer(identity, config, network, steps)}
    lives: list[Leaf] = []

    joining = Joining(identity, log, wait_s, say, lambda _reason: hurried and _is_refused(lives))

    def leaf(rng: Random) -> Role:
        core = Leaf(
            identity=identity,
            config=config,
            network=network,
            rng=rng,
            supers=supers,
            epoch=epoch(),
            shares=shares,
            downloads_dir=str(downloads),
            version=version(),
            steps=steps,
            promotes=own.promote,
            manifests_dir=str(home.manifests),
            limits=(LimitsRecord(own.up, own.down), _flagged(settings)),
        )
        lives.append(core)
        return core

    return Daemon(
        home=home,
        identity=identity,
        network=network,
        config=config,
        roles={LEAF: leaf, **(as_superpeer if own.promote else {})},
        start=(LEAF,),
        methods=_methods(promotes=own.promote),
        listen=listen,
        port_asked=port_asked,
        bulk=True,
        on_serving=joining.serving,
        on_notify=lambda notify: joining.heard(explained(notify)),
        agent=f"leaf/{version()}",
        elsewhere=other_ways,
        http=web_address(own.http),
    )


def _downloads_dir(home: Home, own: LeafOptions) -> Path:
    """Where fetched files go; made when the first one is. Raises UserError where that cannot be."""
    folder = Path(own.downloads).expanduser().absolute() if own.downloads else home.downloads
    if folder.exists() and not folder.is_dir():
        text = f"{folder}, where downloads are to go, is not a folder."
        raise UserError(Exit.USAGE, text, "Give --downloads a folder; it is made where none is.")
    return folder


def _flagged(settings: Settings[LeafOptions]) -> LimitsRecord:
    """The limits that stood on the command line: they go before what `leaf limit` set."""
    flags = [each.key for each in settings.origins if each.origin == FLAG]
    own = settings.own
    return LimitsRecord(
        own.up if "up" in flags else None,
        own.down if "down" in flags else None,
        settings.config.swarm.upload_slots if "swarm.upload_slots" in flags else None,
    )


def explained(notify: Notify) -> Notify:
    """With what a reason may come from, as commands tell it."""
    if notify.name != "parent_not_found":
        return notify
    reason = with_doubt(str(notify.fields["reason"]))
    return msgspec.structs.replace(notify, fields={**notify.fields, "reason": reason})


def _is_refused(lives: list[Leaf]) -> bool:
    return any(each.snapshot().parent_refused for each in lives)


def _methods(*, promotes: bool) -> Methods:
    """What can be asked of a leaf's node, which may be a super-peer too."""
    if not promotes:
        return METHODS
    from superpeer.methods import METHODS as AS_SUPERPEER

    drain = "superpeer.drain"  # that role ends with the leaf's
    return METHODS | {name: each for name, each in AS_SUPERPEER.items() if name != drain}


def _superpeer(
    identity: Identity, config: Config, network: Network, steps: tuple[str, ...]
) -> RoleFactory:
    """The second role of a leaf's node; loaded when it begins, as in most it never does."""

    def begin(rng: Random) -> Role:
        from superpeer.role import SuperPeer

        return SuperPeer(
            identity, config=config, network=network, rng=rng, version=version(), steps=steps
        )

    return begin


class _Passing(Generic[T]):
    """One piece of work beside the daemon that it needs."""

    def __init__(
        self, home: Home, timeout_s: float | None, work: Callable[[LeafClient], T]
    ) -> None:
        self.home = home
        self._timeout_s = timeout_s
        self._work = work
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._do)
        self._parent_known = False

    def begin(self, ready: LeafReady) -> None:
        """The leaf serves; called in the daemon's loop, so only a thread is started."""
        self._parent_known = ready.parent is not None
        self._thread.start()

    def outcome(self, *, was_cut: bool) -> T:
        """The result, once the daemon has ended. Raises what the work raised, or, where a signal
        cut it short, KeyboardInterrupt: whatever the work made of the end of its daemon."""
        if self._thread.ident is not None:
            self._thread.join(JOIN_WAIT_S)
        if self._results:
            return self._results[0]
        if self._errors and not was_cut and not _cut_off(self._errors[0]):
            raise self._errors[0]
        raise KeyboardInterrupt  # the daemon ended under the work

    def _do(self) -> None:
        with LeafClient(self.home, self._timeout_s) as leaf:
            try:
                if not self._parent_known:
                    raise _unreachable(leaf.status())
                self._results.append(self._work(leaf))
            except BaseException as error:
                self._errors.append(error)
            finally:
                with suppress(UserError):
                    leaf.stop(wait=False)  # the process is our own


def _cut_off(error: BaseException) -> bool:
    return isinstance(error, UserError) and error.code is Exit.NOT_RUNNING


def _unreachable(status: Status) -> UserError:
    return UserError(
        Exit.REFUSED if status.parent_refused else Exit.UNREACHABLE,
        f"No super-peer could be joined: {status.parent_reason or 'none answered in time'}.",
        "Check --super and --network, or run `leaf doctor --super HOST`.",
    )
