"""What others measured of our leaves, and what that makes of each."""
