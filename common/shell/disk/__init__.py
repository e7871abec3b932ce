"""Files: what is shared, what is fetched, and what is remembered."""
