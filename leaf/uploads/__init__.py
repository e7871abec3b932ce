"""What a leaf gives: whom it serves, when and with what, and whom it names to them."""
