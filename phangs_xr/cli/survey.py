"""`phangs-xr survey`: many fields in two tables and on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phangs_xr.cli.console import show_line, show_table


def survey_and_show(
    places: Sequence[str], out: Path, runner: Any, *, report: bool, quiet: bool
) -> None:
    """Survey fields, and print what was found of each."""
    from phangs_xr.qa.survey import survey_fields

    def tell(label: str) -> None:
        if not quiet:
            show_line(f"read {label}")

    found = survey_fields(places, out, runner, report=report, on_field=tell)
    rows = [
        (
            one.label,
            one.worst if one.state == "checked" else one.state,
            next((str(each["sentence"]) for each in one.findings), one.reason),
        )
        for one in found.summaries
    ]
    show_table("survey", ("field", "worst", "finding"), rows)
    show_line(f"{len(found.summaries)} fields, {len(found.made)} made anew")
    show_line(f"survey: {found.page}")
