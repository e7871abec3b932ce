"""Who is served how: leaves that search and locate, neighbours that pass queries on."""

from common.config import Config
from common.limits import QUERIES_OPEN_MAX
from common.messages.cluster import Locate, Search
from common.messages.overlay import Query
from superpeer.flood.flood import Flood
from superpeer.search.credit import SLACK, Credit
from superpeer.search.questions import Desk, Question
from superpeer.search.search import Searches


def desks(
    config: Config, credit: Credit, searches: Searches, flood: Flood
) -> dict[type[Question], Desk]:
    """The desk of each kind of question."""
    leaves = Desk(
        waits_s=config.cluster.waits_s,
        limit=credit.limit,
        open=searches.open,
        pause_s=searches.pause_s,
        answer=searches.answer,
        give_up=searches.give_up,
    )
    neighbours = Desk(
        waits_s=config.flood.waits_s,
        limit=lambda _now: QUERIES_OPEN_MAX + SLACK,
        open=flood.lanes.owed,
        pause_s=flood.paces.pause_s,
        answer=flood.on_query,
        give_up=flood.give_up,
    )
    return {Search: leaves, Locate: leaves, Query: neighbours}
