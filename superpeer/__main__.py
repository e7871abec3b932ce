"""`python -m superpeer`."""

from superpeer.cli import main

main()
