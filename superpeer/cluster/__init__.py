"""Our leaves: who they are, whose they are, and what of them is found."""
