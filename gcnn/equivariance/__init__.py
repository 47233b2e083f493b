"""How well a network commutes with a group, and where it does not."""
