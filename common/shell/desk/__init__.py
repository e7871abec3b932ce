"""What a person touches: a node's home, its settings, its commands and its log."""
