"""A query among super-peers: everyone's part of its tree."""
