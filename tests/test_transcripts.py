"""The golden conversations of super-peers and leaves; `--rewrite-transcripts` writes them anew."""

from pathlib import Path

import pytest

from tests.transcript import rewritten

FOLDER = Path(__file__).parent / "transcripts"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_conversation(path: Path, request: pytest.FixtureRequest) -> None:
    """The commands of the file cause word for word the conversation that stands there."""
    told = rewritten(path)
    if request.config.getoption("rewrite_transcripts"):
        path.write_text(told)
    assert path.read_text() == told


def test_there_are_conversations() -> None:
    """The folder is where we look for it."""
    assert len(sorted(FOLDER.glob("*.txt"))) >= 5
