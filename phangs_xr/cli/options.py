"""Options and arguments that commands share."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from phangs_xr.cli.console import open_log, write_log


def _begin_log(context: typer.Context, path: Path | None) -> Path | None:
    """Open the file of --log, and say in it what was called; a shell that completes opens none."""
    if path is not None and not context.resilient_parsing:
        open_log(path)
        write_log(f"phangs-xr {version('phangs_xr')}: {shlex.join(context.obj or [])}")
    return path


Quiet = Annotated[bool, typer.Option("--quiet", help="Show results and warnings only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a mistake.")]

Log = Annotated[
    Path | None,
    # Opened before anything else is looked at; the command itself need not know of it.
    typer.Option(
        "--log",
        metavar="FILE",
        help="Append a log to this file, with times, of all there is to say, also if --quiet.",
        callback=_begin_log,
        expose_value=False,
        is_eager=True,
    ),
]

# Not a Path, which would take the second slash out of s3://bucket/name.zarr.
Directory = Annotated[
    str, typer.Argument(metavar="DIR", help="DIR of a run, or its store, which may be a URL.")
]
