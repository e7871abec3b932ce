"""Every message that crosses a link, a datagram or the control socket, one struct each."""
