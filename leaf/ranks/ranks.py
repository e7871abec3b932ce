"""What a leaf does for its place among the others, and for theirs."""

from random import Random
from typing import Final, Protocol

from common.config import Config
from common.core import Effect, Event
from common.ids import Identity
from leaf.links.caps import Cap
from leaf.ranks.promotion import Offers
from leaf.ranks.receipts import ReceiptBook
from leaf.ranks.trials import Trials
from leaf.ranks.vitals import Errands


class Machine(Protocol):
    """What every part of a leaf looks like from the role."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; say what is to be done."""

    def wakeup(self) -> float | None:
        """The next deadline."""


class Ranks:
    """Receipts and errands, tests and offers; `cap` is that of the uplink."""

    def __init__(
        self,
        identity: Identity,
        network: str,
        config: Config,
        rng: Random,
        epoch: int,
        cap: Cap,
        *,
        promotes: bool,
    ) -> None:
        me = identity.node
        self.errands = Errands(me, config.vitals, config.swarm)
        self.trials = Trials(me, config.vitals, cap, rng)
        self.machines: Final[dict[str, Machine]] = {
            "offers": Offers(config.promotion, promotes=promotes),
            "receipts": ReceiptBook(identity, network, config.vitals, epoch),
            "errands": self.errands,
            "trials": self.trials,
        }
