"""What a leaf asks, and what it goes on asking."""
