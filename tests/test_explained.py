"""What a leaf's log says of having no parent."""

from common.core import Notify
from leaf.assembly import explained


def test_a_handshake_that_fails_may_be_a_wrong_key() -> None:
    """The log says so, as commands do; any other line stays as it is."""
    reason = "10.0.0.1:1214: handshake failed"
    said = explained(Notify("parent_not_found", {"reason": reason}, "warning"))
    assert said.fields["reason"] == f"{reason} (a KEY given with --super may be wrong)"
    assert said.level == "warning"
    other = Notify("parent_lost", {"reason": "handshake failed"})
    assert explained(other) == other
