"""What must never be, one file for each thing; the numbers are those of the list of invariants.

A checker is a watcher (`deploy.sim.witness`) that calls `world.violate`. It knows the truth of the
world and reads nodes through `deploy.sim.inside`; it never changes anything, so a run with
checkers has the trace of a run without.
"""
