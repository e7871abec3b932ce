"""The neighbours of a super-peer: who they are, how many, how near, and how far they all reach."""
