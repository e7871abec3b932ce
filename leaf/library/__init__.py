"""What a leaf shares, and what its parent holds of that."""
