"""ZeroMQ links that behave, and the datagrams beside them."""
