"""Options of the whole suite."""

import pytest
from hypothesis import settings

# no test asserts on wall-clock, and hypothesis must not either
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite-transcripts`: write golden files anew instead of comparing; review the diff."""
    parser.addoption(
        "--rewrite-transcripts",
        action="store_true",
        dest="rewrite_transcripts",
        help="write golden conversations and golden bytes anew",
    )
