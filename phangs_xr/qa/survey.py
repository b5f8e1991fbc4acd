"""A survey: the nebulae, numbers and findings of many fields in two tables and on one page."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr

from phangs_xr.engine.config import load_config
from phangs_xr.engine.directory import hold_directory
from phangs_xr.engine.field import VERSION
from phangs_xr.engine.inputs import name_output, open_inputs
from phangs_xr.engine.runner import Runner
from phangs_xr.errors import InputError
from phangs_xr.io.archive import find_fields
from phangs_xr.io.tables import read_table, write_table
from phangs_xr.io.zarr import FieldStore, find_store, open_store
from phangs_xr.qa.check_field import check_field
from phangs_xr.qa.measure.numbers import write_whole
from phangs_xr.qa.measure.products import find_best, get_node
from phangs_xr.qa.measure.summarize_fields import (
    FieldSummary,
    digest_field,
    join_nebulae,
    list_nebulae,
    name_fields,
    summarize_field,
    tabulate_fields,
)

logger = logging.getLogger(__name__)

_KEPT = "fields"
"""Where beside the page what was made of each field is kept."""

_LIST = "list"
"""What the page is of, written when it is whole."""


@dataclass(frozen=True)
class Survey:
    """What a survey found.

    Attributes
    ----------
    summaries
        A field each, in the order of their labels.
    made
        Labels of those that were read anew; what was made of the others before still held.
    page
        The index page; the tables lie beside it.
    """

    summaries: tuple[FieldSummary, ...]
    made: tuple[str, ...]
    page: Path


def survey_fields(
    places: Sequence[str | Path],
    out: str | Path = "survey",
    runner: Runner | None = None,
    *,
    report: bool = False,
    on_field: Callable[[str], None] | None = None,
) -> Survey:
    """Put many fields together: one table of all nebulae, one of all fields, and an index page.

    Fields that are not checked yet are checked, as `check_field` does it. What was made of a field
    is kept, and made again only if its records, its check or this package have changed.

    Parameters
    ----------
    places
        DIRs of runs, their stores, or archives with many fields, paths or URLs; or configurations,
        of which those count too whose run has failed.
    out
        Directory to write to: `index.html`, `nebulae.parquet`, `nebulae.ecsv`, `fields.parquet`,
        `fields.ecsv`.
    runner
        Where to work on images; threads of this process if None.
    report
        Whether to write the report of each field that has none.
    on_field
        Called with the label of each field that is read anew, when it is done.

    Returns
    -------
    Survey
        A field that cannot be used is among its summaries, and says why.

    Raises
    ------
    InputError
        If there is no field at all, none can be used, columns of nebulae differ in their units, or
        another survey is at work in `out`.
    """
    out = Path(out).absolute()
    labels = name_fields(_list_locations(places))
    if not labels:
        listed = ", ".join(map(str, places))
        message = f"{listed}: fields are needed for a survey, found none: give DIRs of runs"
        raise InputError(message)
    made = []
    with hold_directory(out, "survey"):
        kept = []
        for label, location in labels.items():
            one = _Kept(out / _KEPT / quote(label, safe=""), label, location)
            if one.update(runner, report):
                made.append(label)
                if on_field is not None:
                    on_field(label)
            kept.append(one)
        kept.sort(key=lambda one: one.label)
        summaries = tuple(one.summary for one in kept)
        if all(one.state == "failed" for one in summaries):
            message = f"{summaries[0].location}: no field can be used: {summaries[0].reason}"
            raise InputError(message)
        state = json.dumps([one.state for one in kept])
        if not _has_page(out, state):
            # Who does not survey is spared what draws.
            from phangs_xr.qa.report.survey_page import write_survey_page

            _write_tables(out, kept)
            write_survey_page(out / "index.html", summaries, [one.thumbnail for one in kept])
            write_whole(out / _KEPT / _LIST, state)
    return Survey(summaries, tuple(made), out / "index.html")


def _has_page(out: Path, state: str) -> bool:
    """Tell whether the page that is there is of these fields, as they are."""
    path = out / _KEPT / _LIST
    return (out / "index.html").exists() and path.exists() and path.read_text() == state


def _list_locations(places: Sequence[str | Path]) -> list[str]:
    """Return the locations of all fields; what is no field, for all one knows, is one that lacks.

    A place that was given twice, or within another, counts once.
    """
    found: dict[str, None] = {}
    for place in places:
        try:
            location = _find_location(str(place))
        except InputError:
            found[str(place)] = None
            continue
        fields = find_fields(location)
        found |= dict.fromkeys(fields or [location])
    return list(found)


def _find_location(place: str) -> str:
    """Return the location of a store, of the one in a DIR, or of that a configuration names."""
    if not place.endswith(".toml"):
        return find_store(place)
    config = load_config(place)
    if config.output.location is not None:
        return config.output.location
    return str(name_output(config, open_inputs(config)) / f"{config.galaxy}.zarr")


def _write_tables(out: Path, kept: Sequence[_Kept]) -> None:
    fields = tabulate_fields([one.summary for one in kept])
    nebulae = join_nebulae(one.nebulae for one in kept)
    for ending in ("ecsv", "parquet"):
        write_table(fields, out / f"fields.{ending}")
        if nebulae.sizes:
            write_table(nebulae, out / f"nebulae.{ending}")
        else:
            (out / f"nebulae.{ending}").unlink(missing_ok=True)


class _Kept:
    """What a survey keeps of a field: a summary, its nebulae and a thumbnail, in three files.

    The summary is written last: what has none is made again.
    """

    def __init__(self, stem: Path, label: str, location: str) -> None:
        self.label, self.location = label, location
        self._stem = stem
        self.summary = FieldSummary(label, location, "failed")
        self._digest = ""

    @property
    def state(self) -> list[str | bool]:
        """What changes if anything that the page tells of the field does."""
        report = Path(self.summary.directory) / "report.html"
        return [self.label, self.summary.reason, self._digest, report.exists()]

    @property
    def nebulae(self) -> xr.Dataset:
        """The rows of its nebulae, empty if it has none."""
        path = self._name("parquet")
        known = self.summary.state == "checked" and path.exists()
        return read_table(path) if known else xr.Dataset()

    @property
    def thumbnail(self) -> bytes:
        """A PNG of its best map; empty if there is none."""
        path = self._name("png")
        return path.read_bytes() if self.summary.state != "failed" and path.exists() else b""

    def update(self, runner: Runner | None, report: bool) -> bool:
        """Read the field if it has changed; tell whether it had."""
        try:
            return self._update(runner, report)
        except Exception as error:  # any failure of one field is that field's alone
            logger.debug("%s", traceback.format_exc())
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            self.summary = FieldSummary(self.label, self.location, "failed", f"{kind}{error}")
            self._name("json").unlink(missing_ok=True)
            return False

    def _update(self, runner: Runner | None, report: bool) -> bool:
        location = _find_location(self.location)
        store = FieldStore(location)
        attrs = store.read_attrs()
        if not attrs.get("records"):
            message = f"{location}: a finished run is needed, found none: run it, and survey again"
            raise InputError(message)
        drawn = Path((attrs.get("quality") or {}).get("directory", "")) / "report.html"
        asked = report and not drawn.exists()
        if not asked and self._read(digest_field(attrs, VERSION)):
            return False
        if asked or not attrs.get("quality"):
            check_field(location, runner, report=report)
            attrs = store.read_attrs()
        tree = open_store(location, chunked=False)
        self.summary = summarize_field(self.label, self.location, tree)
        self._write(tree, runner, digest_field(attrs, VERSION))
        return True

    def _read(self, digest: str) -> bool:
        path = self._name("json")
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return False
        if content.pop("digest", None) != digest:
            return False
        self._digest = digest
        numbers = content.pop("numbers")
        known = {name: np.nan if one is None else one for name, one in numbers.items()}
        self.summary = replace(FieldSummary(**content, numbers=known), location=self.location)
        return True

    def _write(self, tree: xr.DataTree, runner: Runner | None, digest: str) -> None:
        from phangs_xr.qa.report.survey_page import draw_thumbnail

        summary = self._name("json")
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.unlink(missing_ok=True)
        image = get_node(tree, "hst")[find_best(tree)]
        self._name("png").write_bytes(draw_thumbnail(image, runner))
        rows = list_nebulae(self.summary, get_node(tree, "nebulae").load())
        if rows.sizes:
            write_table(rows, self._name("parquet"))
        else:
            self._name("parquet").unlink(missing_ok=True)
        self._digest = digest
        content = {**asdict(self.summary), "digest": digest}
        finite = {
            name: one if np.isfinite(one) else None for name, one in content["numbers"].items()
        }
        write_whole(summary, json.dumps({**content, "numbers": finite}, allow_nan=False))

    def _name(self, ending: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{ending}")
