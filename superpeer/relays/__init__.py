"""Leaves that nobody can dial: told whom to dial, or passed through us."""
