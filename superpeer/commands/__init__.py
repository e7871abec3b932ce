"""How answers of a super-peer are shown, where that takes more than a table."""
