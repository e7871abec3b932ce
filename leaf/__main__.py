"""`python -m leaf`."""

from leaf.cli import main

main()
