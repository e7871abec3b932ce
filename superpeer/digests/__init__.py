"""What neighbours and theirs have, by their own word."""
