"""Copies of what leaves share, kept for others until a parent is gone."""
