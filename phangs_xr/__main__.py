"""`python -m phangs_xr` is the command line."""

from phangs_xr.cli import main

main()
