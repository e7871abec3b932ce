"""Small worlds with many faults at once: every seed draws a network, faults and a workload."""
