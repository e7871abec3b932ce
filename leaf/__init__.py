"""The leaf: shares folders, searches through its parent, downloads from other leaves."""
