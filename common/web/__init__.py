"""HTTP without a socket: what is served to other programs, and fetched from web servers."""
