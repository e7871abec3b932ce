"""A file by its content: the tree of its hashes, and its names here and elsewhere."""
