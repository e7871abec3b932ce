"""Options of the whole suite."""

import signal

import pytest
from hypothesis import settings

# no test asserts on wall-clock, and hypothesis must not either
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

# what a script puts in the background with `&` is deaf to Ctrl-C, and so is what it starts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite-transcripts`: write golden files anew instead of comparing; review the diff."""
    parser.addoption(
        "--rewrite-transcripts",
        action="store_true",
        dest="rewrite_transcripts",
        help="write golden conversations and golden bytes anew",
    )
