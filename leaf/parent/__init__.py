"""A leaf's super-peer: how one is found, joined, changed for another, and followed."""
