"""Links to other leaves: dialled, pushed or relayed, and how much may go over them."""
