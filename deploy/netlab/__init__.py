"""A network of hosts on one machine: a namespace for each, all on one bridge."""
