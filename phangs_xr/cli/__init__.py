"""The command line: `commands` parses and calls, `console` prints.

The only room that prints; it may use all others.
"""

from phangs_xr.cli.commands import main

__all__ = ["main"]
