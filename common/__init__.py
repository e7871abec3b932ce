"""What both roles stand on: the contract, the messages, the wire; pure but for `common.shell`."""
