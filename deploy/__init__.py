"""Ways to bring a network up: one scenario file, several worlds."""
