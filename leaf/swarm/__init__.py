"""Leaf to leaf: who has which piece, who asks whom, and what was proven."""
