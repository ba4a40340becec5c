"""`sumida proxy`: a TCP load balancer that is reloaded and stopped without loss.

What decides is pure and comes first: `config`, `balancer`, `preamble`, `journal`.
What moves bytes stands on it: `connection`, `front`, `checks`, `application`.
"""

__all__ = ()
