"""Channels between tasks; see the page of the room for which one when."""
