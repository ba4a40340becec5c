"""The foundation under every room: private, and imported by all of them."""
