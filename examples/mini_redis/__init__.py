"""A Redis-compatible server, written to be read: begin with README.md."""

from .server import MiniRedis

__all__ = ("MiniRedis",)
