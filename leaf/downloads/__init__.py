"""What a leaf gets: files and folders, who waits for them, and why."""
