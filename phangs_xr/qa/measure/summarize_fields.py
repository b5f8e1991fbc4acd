"""What a survey tells of each field: its numbers, findings and nebulae, read from its store."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phangs_xr.errors import InputError
from phangs_xr.io.archive import split_location
from phangs_xr.qa.measure.findings import ORDER
from phangs_xr.qa.measure.products import find_best, get_node

State = Literal["checked", "unfinished", "failed"]

NUMBERS = {
    "nebulae": ("", "nebulae of the mask"),
    "compared": ("", "nebulae that HST and MUSE both cover"),
    "median_ratio": ("", "median of the map's fluxes over MUSE's"),
    "median_ratio_error": ("", "its uncertainty"),
    "scatter": ("dex", "scatter of that ratio"),
    "slope": ("", "of the logarithms of the map's fluxes against MUSE's"),
    "slope_error": ("", "its uncertainty"),
    "negative": ("", "nebulae that are not positive in the map"),
    "shift": ("arcsec", "of MUSE against HST"),
    "problems": ("", "findings that make the map useless for what it is for"),
    "warnings": ("", "findings that limit it"),
}
"""The numbers of a field, with unit and meaning."""

TEXTS = ("galaxy", "field", "recipe", "map", "state", "location", "finished", "report", "findings")
"""What of a field is text."""


@dataclass(frozen=True)
class FieldSummary:
    """One field of a survey.

    Attributes
    ----------
    label
        Unique in the survey.
    location
        Of its store.
    state
        Whether it is checked, its run has not finished, or it cannot be used.
    reason
        Why it is not checked; "" if it is.
    galaxy, recipe, best, finished
        As its store says: `best` is the map to measure on.
    numbers
        Those of `NUMBERS`; NaN where not known.
    findings
        As dictionaries of `phangs_xr.qa.Finding`, the weightiest first.
    directory
        Where its report lies, if it has one.
    """

    label: str
    location: str
    state: State
    reason: str = ""
    galaxy: str = ""
    recipe: str = ""
    best: str = ""
    finished: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    findings: Sequence[Mapping[str, Any]] = ()
    directory: str = ""

    @property
    def worst(self) -> str:
        """The severity of the worst finding; that of a problem if it is not checked."""
        if self.state != "checked":
            return "problem"
        severities = [str(one["severity"]) for one in self.findings]
        return min(severities, key=[str(one) for one in ORDER].index, default="note")


def name_fields(locations: Sequence[str]) -> dict[str, str]:
    """Return the location of each field by a short label of its own.

    That is the group of a field in an archive, else the last two directories above its store, or
    the name of a configuration.
    """
    labels: dict[str, str] = {}
    for location in locations:
        store, group = split_location(location)
        path = PurePosixPath(store.partition("://")[2] or store)
        above = path.parent if path.suffix == ".zarr" else path
        base = group or "/".join(above.parts[-2:]).strip("/") or path.stem
        label, number = base, 2
        while label in labels:
            label, number = f"{base} ({number})", number + 1
        labels[label] = location
    return labels


def summarize_field(label: str, location: str, tree: xr.DataTree) -> FieldSummary:
    """Return the summary of a field whose store is opened, from what `qa` has left there.

    It is unfinished if `qa` has left nothing: its products are not those of a finished check.
    """
    attrs = tree.attrs
    quality = attrs.get("quality")
    finished = max((str(one["finished"]) for one in attrs["records"].values()), default="")
    best = find_best(tree)
    bare = FieldSummary(
        label,
        location,
        "unfinished",
        "its maps are not checked: run phangs-xr qa on it, or survey again",
        galaxy=str(attrs.get("galaxy", "")),
        recipe=str(attrs.get("recipe", "")),
        best=best,
        finished=finished,
    )
    if not quality:
        return bare
    findings = quality.get("findings", [])
    return replace(
        bare,
        state="checked",
        reason="",
        numbers=_read_numbers(quality, best, get_node(tree, "nebulae"), findings),
        findings=findings,
        directory=str(quality.get("directory", "")),
    )


def _read_numbers(
    quality: Mapping[str, Any],
    best: str,
    nebulae: xr.Dataset,
    findings: Sequence[Mapping[str, Any]],
) -> dict[str, float]:
    fluxes = quality.get("fluxes", {}).get(best, {})
    severities = [one["severity"] for one in findings]
    found = {
        **{name: fluxes.get(name) for name in NUMBERS},
        "nebulae": nebulae.sizes.get("nebula", 0),
        "compared": fluxes.get("n", 0),
        "shift": quality.get("shift", {}).get("shift"),
        "problems": severities.count("problem"),
        "warnings": severities.count("warning"),
    }
    return {name: math.nan if one is None else float(one) for name, one in found.items()}


def digest_field(attrs: Mapping[str, Any], version: str) -> str:
    """Return what changes whenever anything that a survey tells of a field does."""
    told = {name: attrs.get(name) for name in ("galaxy", "recipe", "records", "quality")}
    text = json.dumps([told, version], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def list_nebulae(summary: FieldSummary, nebulae: xr.Dataset) -> xr.Dataset:
    """Return the nebulae of a field, a row each, with columns that say whose they are."""
    if not nebulae.sizes.get("nebula"):
        return xr.Dataset()
    flat = nebulae.reset_coords()
    kept = [name for name, one in flat.data_vars.items() if one.dims == ("nebula",)]
    size = nebulae.sizes["nebula"]
    named = {
        name: ("nebula", np.full(size, text, dtype=object))
        for name, text in (("galaxy", summary.galaxy), ("field", summary.label))
    }
    return xr.Dataset({**named, **{str(name): flat[name] for name in kept}})


def join_nebulae(tables: Iterable[xr.Dataset]) -> xr.Dataset:
    """Put the nebulae of all fields into one table.

    Parameters
    ----------
    tables
        Of `list_nebulae`.

    Returns
    -------
    xr.Dataset
        All columns that any has, along `nebula`, those of the first table first; NaN, or "" for
        texts, where a field does not have one.

    Raises
    ------
    InputError
        If a column has another unit in one field than in another.
    """
    tables = [table for table in tables if table.sizes.get("nebula")]
    names = dict.fromkeys(str(name) for table in tables for name in table.data_vars)
    return xr.Dataset({name: _join_column(name, tables) for name in names})


def _join_column(name: str, tables: Sequence[xr.Dataset]) -> xr.Variable:
    units: dict[str, str] = {}
    for table in tables:
        if name in table:
            units.setdefault(table[name].attrs.get("units", ""), str(table["field"].values[0]))
    if len(units) > 1:
        (one, here), (other, there) = list(units.items())[:2]
        message = (
            f"{name}: one unit is needed in all fields, found {one!r} in {here} and {other!r} in "
            f"{there}: leave one out, or make its catalogue's units agree"
        )
        raise InputError(message)
    kinds = {table[name].dtype.kind for table in tables if name in table}
    is_text = not kinds <= set("iufb")
    parts = [_fill_column(name, table, is_text) for table in tables]
    attrs = {"units": next(iter(units))} if next(iter(units), "") else {}
    return xr.Variable("nebula", np.concatenate(parts), attrs)


def _fill_column(name: str, table: xr.Dataset, is_text: bool) -> NDArray[Any]:
    size = table.sizes["nebula"]
    if name not in table:
        return np.full(size, "", dtype=object) if is_text else np.full(size, np.nan)
    values = table[name].values
    return np.array([str(one) for one in values], dtype=object) if is_text else values


def tabulate_fields(summaries: Sequence[FieldSummary]) -> xr.Dataset:
    """Return a table of the fields: a row each, with `TEXTS` and `NUMBERS`.

    `findings` are the sentences, with their severity, the weightiest first; of a field that is not
    checked it is why.
    """
    texts = {name: [_get_text(one, name) for one in summaries] for name in TEXTS}
    columns = {name: ("entry", np.array(text, dtype=object)) for name, text in texts.items()}
    table = xr.Dataset(columns)
    for name, (unit, meaning) in NUMBERS.items():
        values = np.array([one.numbers.get(name, math.nan) for one in summaries])
        attrs = {"long_name": meaning, **({"units": unit} if unit else {})}
        table[name] = xr.Variable("entry", values, attrs)
    return table


def _get_text(one: FieldSummary, name: str) -> str:
    if name == "findings":
        listed = [f"{found['severity']}: {found['sentence']}" for found in one.findings]
        return " ".join(listed) if one.state == "checked" else one.reason
    own = {"field": "label", "map": "best", "report": "directory"}
    return str(getattr(one, own.get(name, name)))
