"""The only folder that touches sockets, files, threads and clocks; it knows no role."""
