"""How strong the tests are: planted bugs for the simulator, mechanical mutants for all of them.

    python -m tests.power list                      what is planted, and what each breaks
    python -m tests.power planted --out FILE        is every planted bug found by the simulator?
    python -m tests.power mechanical --out FILE     of small changes anywhere, how many are noticed?

`planted.toml` holds the bugs that people make, `operators.py` the changes that a machine makes.
Each is made in a copy of the tree (`tree.py`), judged there (`judges.py`) and taken back, several
side by side (`runner.py`). Nothing here looks into a test or a checker: what is measured is whether
they notice.
"""
