"""The place of a leaf among the others: what is measured of it, and of them by it."""
