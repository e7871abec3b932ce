"""What a person typed to search for, as terms and a strategy that can be asked."""

from typing import Final, get_args

from common.asking import TermsError
from common.errors import Exit, UserError
from common.limits import HITS_PER_QUERY_MAX, SEARCH_BYTES_MAX, TTL_MAX
from common.messages.cluster import Strategy
from common.terms import Terms, parse
from leaf.methods import Search, WishAdd

_STRATEGIES: Final[dict[str, Strategy]] = {each: each for each in get_args(Strategy)}


def terms_of(params: Search | WishAdd) -> Terms:
    """The terms of what was typed; UserError for what cannot be searched for."""
    try:
        return parse(
            params.words,
            kind=params.type,
            extensions=params.ext,
            size_min=params.min_size,
            size_max=params.max_size,
        )
    except TermsError as error:
        text = str(error)
        command = "wish add" if isinstance(params, WishAdd) else "search"
        hint = f"`leaf {command} -h` shows how words, phrases and filters are given."
        raise UserError(Exit.USAGE, f"{text[:1].upper()}{text[1:]}.", hint) from error


def checked(params: Search) -> tuple[Terms, Strategy]:
    """The terms of what was typed; UserError for what cannot be asked."""
    terms = terms_of(params)
    if terms.bytes > SEARCH_BYTES_MAX:
        raise UserError(Exit.USAGE, f"A search has at most {SEARCH_BYTES_MAX} bytes of words.")
    if not 1 <= params.limit <= HITS_PER_QUERY_MAX:
        raise UserError(Exit.USAGE, f"--limit is not between 1 and {HITS_PER_QUERY_MAX}.")
    if not 0 <= params.ttl <= TTL_MAX:
        raise UserError(Exit.USAGE, f"--ttl is not between 0 and {TTL_MAX}.")
    strategy = _STRATEGIES.get(params.strategy)
    if strategy is None:
        choices = " and ".join(_STRATEGIES)
        raise UserError(Exit.USAGE, f"{params.strategy!r} is no strategy: there are {choices}.")
    return terms, strategy
