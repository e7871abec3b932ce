"""When no super-peer is left: who follows, and how parted networks meet."""
