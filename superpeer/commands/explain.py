"""`superpeer explain` for people: the state of the neighbourhood, then each leaf and its checks."""

from typing import Final

from common.shell.desk.output import Output
from common.shell.desk.units import counted, size_text, time_text
from superpeer.methods import CheckRow, DriftRow, Explanation, VerdictRow

KEYS_SHOWN: Final = 3
KEY_CHARS: Final = 8


def print_explanation(output: Output, found: Explanation) -> None:
    """Sentences first, then a table for each leaf."""
    for line in _about_us(found):
        output.line(line)
    if not found.verdicts:
        output.line("No leaf here could be made a super-peer: there is none but super-peers.")
    for row in found.verdicts:
        output.line("")
        output.line(_head(row))
        output.table(
            ("input", "value", "threshold", ">weight", ">points", "outcome", "measured by"),
            [_cells(check) for check in row.checks],
        )
        for change in row.would_change:
            output.line(f"  it would pass when {change}")


def _about_us(found: Explanation) -> list[str]:
    seen = found.drift
    lines = [
        f"{seen.leaves} leaves, and {seen.target:g} are aimed at ({seen.leaves_max} at most)",
        f"mean of {counted(seen.super_peers_near, 'super-peer')} here: {seen.mean_leaves:g} leaves",
        f"log(load / target): own {seen.own_mu:+.2f} (limit {seen.own_mu_max:g}), "
        f"near {seen.near_mu:+.2f} (limit {seen.near_mu_max:g} either way)",
        _likely(seen),
    ]
    if seen.need:
        lines.append("in need: full, or the only super-peer; floors only rank")
    if found.offered is not None:
        lines.append(f"asked now: {found.offered}")
    if found.phase != "idle":
        lines.append(f"stepping down: {found.phase}")
    elif found.step_down_after_s is not None:
        waits = time_text(found.step_down_after_s)
        lines.append(f"promoted: steps down when it is one too many for {waits}")
    else:
        lines.append("started as a super-peer: never steps down")
    return lines


def _likely(seen: DriftRow) -> str:
    if seen.split_chance:
        return (
            f"a leaf is made a super-peer after {time_text(seen.sustain_s)} of this, "
            f"with chance {seen.split_chance:.2f} at each look"
        )
    if seen.step_down_chance:
        return f"one is too many here: chance {seen.step_down_chance:.2f} at each look"
    return "neither more super-peers nor fewer are wanted"


def _head(row: VerdictRow) -> str:
    verdict = "fit" if row.fit else "not fit"
    return f"{row.place}. {row.node}: {verdict}, {row.score:+.2f} points"


def _cells(check: CheckRow) -> tuple[str, ...]:
    by = [key[:KEY_CHARS] for key in check.measured_by[:KEYS_SHOWN]]
    more = len(check.measured_by) - len(by)
    return (
        check.name,
        _value(check.name, check.value),
        _value(check.name, check.threshold),
        f"{check.weight:g}",
        f"{check.points:+.2f}",
        check.outcome,
        " ".join(by) + (f" and {more} more" if more else "") or "-",
    )


def _value(name: str, value: float | bool | None) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "up_rate":
        return f"{size_text(round(value))}/s"
    return time_text(value) if name.endswith("_s") else f"{value:g}"
