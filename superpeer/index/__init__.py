"""What leaves share: the catalogue that each signed, and the words and roots of all."""
