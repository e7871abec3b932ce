"""The questions of our leaves: whose turn it is, and the origin's part of each."""
