"""How much is read ahead for others: what leaves in a moment, and no more."""

from leaf.uploads.budget import ALL_BYTES_MAX, BYTES_MIN, LINKS_S, STALLED_S, Budget

A, B = b"a" * 32, b"b" * 32
PIECE = 16_384


def carry(budget: Budget, per_s: float, way_s: float, until: float, now: float = 0.0) -> float:
    """A network that takes `per_s` after `way_s`, filled as the budget allows; the end."""
    on_the_way: list[float] = []
    free_at = now
    while now < until:
        while not budget.is_spent(now) and budget.has_room(A, now):
            budget.take(A, PIECE, now)
            free_at = max(free_at, now) + PIECE / per_s
            on_the_way.append(free_at + way_s)
        now = on_the_way.pop(0) if on_the_way else until
        budget.left(A, PIECE, now)
    return now


def test_what_is_ahead_follows_what_leaves() -> None:
    """After a second it is what leaves in a tenth of a second and on the way, whatever the rate."""
    for per_s, way_s in ((1e6, 0.001), (1e6, 0.1), (20e6, 0.02), (100e6, 0.001)):
        budget = Budget()
        now = carry(budget, per_s, way_s, 3.0)
        while not budget.is_spent(now):
            budget.take(A, PIECE, now)
        most = per_s * (LINKS_S + way_s + 2 * BYTES_MIN / per_s)
        assert per_s * way_s < budget.bytes_on_their_way <= most + PIECE


def test_a_link_is_kept_busy() -> None:
    """What leaves in ten seconds is what the network takes, also where the way is long."""
    for per_s, way_s in ((1e5, 0.05), (1e6, 0.2), (50e6, 0.02)):
        budget, taken = Budget(), 0
        on_the_way: list[float] = []
        now = free_at = 0.0
        while now < 10.0:
            while not budget.is_spent(now) and budget.has_room(A, now):
                budget.take(A, PIECE, now)
                free_at = max(free_at, now) + PIECE / per_s
                on_the_way.append(free_at + way_s)
            now = on_the_way.pop(0)
            budget.left(A, PIECE, now)
            taken += PIECE
        assert taken > 0.9 * 10.0 * per_s


def test_a_stalled_leaf_holds_up_nobody_but_itself() -> None:
    """What it does not take counts for itself; the others go on after a moment."""
    budget = Budget()
    now = carry(budget, 1e6, 0.001, 1.0)
    while not budget.is_spent(now):
        budget.take(B, PIECE, now)
    budget.left(A, budget.bytes_on_their_way, now)
    later = now + STALLED_S
    assert budget.stalled(STALLED_S, later) == [B]
    assert not budget.is_spent(later)
    assert not budget.has_room(B, later)
    assert budget.has_room(A, later)


def test_what_is_given_back_or_forgotten_does_not_count() -> None:
    """Nor does what is given back twice; and nothing is ever beyond the limit of all."""
    budget = Budget()
    budget.take(A, PIECE, 0.0)
    budget.take(B, 3 * ALL_BYTES_MAX, 0.0)
    assert budget.is_spent(1.0)
    budget.forget(B)
    budget.left(B, PIECE, 1.0)
    budget.give_back(A, 2 * PIECE)
    assert budget.bytes_on_their_way == 0
    assert not budget.is_spent(2.0)


def test_slow_leaves_do_not_shrink_what_others_may_have() -> None:
    """Ten that take a piece every two seconds hold little of what is ahead, for as long as they
    like; the link goes on as fast as before."""
    budget = Budget()
    slow = [bytes([number]) * 32 for number in range(10)]
    now, taken, per_s = 0.0, 0, 1e6
    free_at, pieces = 0.0, list[float]()
    due = dict.fromkeys(slow, 1.9)
    for peer in slow:
        budget.take(peer, 4 * PIECE, 0.0)
    while now < 30.0:
        while not budget.is_spent(now) and budget.has_room(A, now):
            budget.take(A, PIECE, now)
            free_at = max(free_at, now) + PIECE / per_s
            pieces.append(free_at + 0.005)
        next_slow = min(due, key=due.__getitem__)
        if pieces and pieces[0] <= due[next_slow]:
            now = pieces.pop(0)
            budget.left(A, PIECE, now)
            taken += PIECE if now > 5.0 else 0
        else:
            now = due[next_slow]
            due[next_slow] = now + 1.9
            budget.left(next_slow, PIECE, now)
            budget.take(next_slow, PIECE, now)
    assert taken > 0.9 * 25.0 * per_s
