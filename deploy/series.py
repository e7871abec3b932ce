"""The raw samples of a run: what a plot needs and a report's few figures cannot tell.

Every list is empty where a world cannot tell, or where nothing of the kind happened. Samples stand
in the order in which they came; whoever draws them sorts.
"""

import msgspec


class Series(msgspec.Struct):
    """Samples by kind; times in seconds, volumes in bytes."""

    search_s: list[float] = []  # of each search, until its last answer
    first_hit_s: list[float] = []  # of each search that found anything, until its first answer
    costs: list[tuple[int, int]] = []  # of each search: super-peers reached, messages
    coverage: list[float] = []  # of each search: reached of the super-peers within its reach
    failover_s: list[float] = []  # of each leaf that lost its parent, until it had another
    load: list[int] = []  # of each super-peer: messages of the overlay that it handled
    leaves_per_super_peer: list[int] = []
    sizes: list[tuple[int, float, float]] = []  # super-peers, messages and bytes for each query
