"""`superpeer explain`: every input of the controller and of its verdicts, as they count now.

Nothing is worked out here for people alone: the rows are the very values that decide.
"""

from typing import Any, Final

from common.core import Answer, Asked, Effect, Fail
from common.errors import Exit
from common.ids import node_text, parse_node
from superpeer.hierarchy.drift import Drift, leave_chance, split_chance
from superpeer.hierarchy.promotion import Promotion
from superpeer.methods import CheckRow, DriftRow, Explain, Explanation, VerdictRow
from superpeer.vitals.verdict import Verdict

VERDICTS_SHOWN: Final = 20  # the best of our leaves, where none is asked for


def explained(event: Asked, promotion: Promotion, now: float) -> Effect:
    """The answer to `explain`; of one leaf or of the best."""
    wanted = event.params.node if isinstance(event.params, Explain) else ""
    ranked = promotion.ranked(now)
    rows = [_row(node_text(leaf), at, found) for at, (leaf, found) in enumerate(ranked, 1)]
    if wanted:
        try:
            parse_node(wanted)
        except ValueError as error:
            return Fail(event.call, Exit.USAGE, f"{error}.", "`superpeer leaves` shows the keys.")
        rows = [row for row in rows if row.node == wanted]
        if not rows:
            text = f"{wanted} is no leaf of this super-peer that could be promoted."
            hint = "Ask its own super-peer; `leaf status` names it."
            return Fail(event.call, Exit.NOTHING_FOUND, text, hint)
    return Answer(event.call, _explanation(promotion, rows[:VERDICTS_SHOWN], now))


def _explanation(promotion: Promotion, rows: list[VerdictRow], now: float) -> Explanation:
    stepdown, offered = promotion.stepdown, promotion.offered
    return Explanation(
        node=node_text(promotion.me),
        promoted=stepdown.promoted_at is not None,
        phase=stepdown.phase.value,
        step_down_after_s=stepdown.patience_s(promotion.better_than(now), now),
        offered=None if offered is None else node_text(offered),
        drift=_drift_row(promotion, promotion.drift),
        verdicts=rows,
    )


def _drift_row(promotion: Promotion, seen: Drift) -> DriftRow:
    config = promotion.config
    return DriftRow(
        leaves=seen.leaves,
        leaves_max=promotion.leaves_max,
        target=round(seen.target, 3),
        target_most=promotion.capacity.most,
        super_peers_near=seen.near,
        mean_leaves=round(seen.mean, 3),
        own_mu=round(seen.own_mu, 6),
        own_mu_max=config.drift_own,
        near_mu=round(seen.near_mu, 6),
        near_mu_max=config.drift_near,
        split_chance=round(split_chance(seen, config), 6),
        step_down_chance=round(leave_chance(seen, config), 6),
        sustain_s=config.sustain_s,
        need=promotion.need,
    )


def _row(node: str, place: int, found: Verdict) -> VerdictRow:
    checks = [CheckRow(**_fields(check)) for check in found.checks]
    return VerdictRow(node, place, found.fit, found.score, checks, list(found.would_change))


def _fields(check: Any) -> dict[str, Any]:
    fields = {name: getattr(check, name) for name in check.__struct_fields__}
    return fields | {"measured_by": list(check.measured_by)}
