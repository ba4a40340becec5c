"""`python -m sumida` is the `sumida` command."""

from sumida.cli import main

__all__ = ()

if __name__ == "__main__":
    main()
