"""Who becomes a super-peer, who ceases to be one, and where the leaves go then."""
