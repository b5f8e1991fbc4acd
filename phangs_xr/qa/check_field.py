"""Measure the nebulae of a finished run, compare HST with MUSE, and write what was found."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xarray as xr

from phangs_xr.engine.runner import Runner
from phangs_xr.engine.tiles import run_reductions
from phangs_xr.errors import InputError
from phangs_xr.io.archive import find_directory
from phangs_xr.io.tables import write_table
from phangs_xr.io.zarr import FieldStore, find_store, open_store
from phangs_xr.qa.measure.findings import Finding, list_findings
from phangs_xr.qa.measure.measurements import Measured
from phangs_xr.qa.measure.nebulae import NebulaPlan, plan_nebulae
from phangs_xr.qa.measure.noise import fit_noises
from phangs_xr.qa.measure.numbers import clean_numbers, compare_fluxes, write_numbers
from phangs_xr.qa.measure.overviews import Overview, OverviewPlan, plan_overview
from phangs_xr.qa.measure.products import has_product, list_compared, list_images
from phangs_xr.qa.measure.registration import measure_shift
from phangs_xr.qa.report.draw_beside import Papers, prepare_papers


def check_field(
    path: str | Path,
    runner: Runner | None = None,
    *,
    report: bool = True,
    out: Path | None = None,
) -> list[str]:
    """Check a field as `examine_field` does, and return its lines."""
    return examine_field(path, runner, report=report, out=out)[0]


def examine_field(
    path: str | Path,
    runner: Runner | None = None,
    *,
    report: bool = True,
    out: Path | None = None,
) -> tuple[list[str], list[Finding]]:
    """Check a field: nebula photometry, its numbers, the shift between HST and MUSE, the report.

    Parameters
    ----------
    path
        DIR of a run, or its store.
    runner
        Where to work on the images; threads of this process if None.
    report
        Whether to draw the figures and write the report.
    out
        Directory to write to; if None, `qa` beside the store, or here if that is not on this
        machine. Of a field in an archive it is `{group}/qa` there.

    Returns
    -------
    tuple
        What was found, in lines for the user. The nebulae are in `/nebulae` of the store and in
        `nebulae.ecsv` of the directory, the numbers in `numbers.json`, the report is
        `report.html`.

    Raises
    ------
    InputError
        If there is no store, or it lacks the products.
    """
    location = find_store(path)
    out = out or find_directory(location) / "qa"
    field = open_store(location, chunked=False)
    plain = list_compared(field)[0]
    if not has_product(field, plain):
        found = ", ".join(list_images(field)) if "hst" in field.children else "none"
        message = (
            f"{location}: the products of a run are needed, {plain} at least, found {found}: "
            f"run the recipe to its end first"
        )
        raise InputError(message)
    drawing = prepare_papers(field, location, out, runner) if report else nullcontext()
    with drawing as papers:
        return _check(field, location, out, runner, papers)


def _check(
    field: xr.DataTree, location: str, out: Path, runner: Runner | None, papers: Papers | None
) -> tuple[list[str], list[Finding]]:
    """Measure, write what was found, and write the report if somebody draws its figures."""
    lines = []
    numbers: dict[str, Any] = {}
    nebulae, overview = _reduce(field, runner, report=papers is not None)
    if nebulae is not None:
        numbers["fluxes"] = compare_fluxes(nebulae)
        counted = f"{nebulae.sizes['nebula']} nebulae"
    else:
        missing = " and ".join(_list_missing(field))
        counted = f"no nebulae are measured without {missing}: give it in [inputs] and run again"
    rows = nebulae if nebulae is not None else xr.Dataset()
    noise = fit_noises(overview) if overview is not None else None
    found = Measured(rows, numbers.get("fluxes", {}), overview, noise)
    if papers is not None:
        papers.draw(found)
    if has_product(field, "musehalpha"):
        # Not beside the rest: it holds MUSE's images several times over.
        numbers["shift"] = measure_shift(field, runner)
        lines += _list_shift(numbers["shift"])
    store = FieldStore(location)
    if nebulae is not None:
        store.write_table(nebulae)
        write_table(nebulae, out / "nebulae.ecsv")
        lines = [*_list_fluxes(numbers["fluxes"]), *lines, f"nebulae: {out / 'nebulae.ecsv'}"]
    fluxes, shift = numbers.get("fluxes", {}), numbers.get("shift")
    findings = list_findings(field, nebulae, fluxes, shift, noise, overview)
    numbers["findings"] = [asdict(one) for one in findings]
    # So that who opens the store alone knows them too, and where the rest lies.
    quality = {**clean_numbers(numbers), "directory": str(out.absolute())}
    store.write_attrs(quality=quality)
    store.summarize()
    lines.append(f"numbers: {write_numbers(numbers, out / 'numbers.json')}")
    lines.insert(0, f"{field.attrs['galaxy']}: {counted}")
    lines += [f"{one.severity}: {one.sentence}" for one in findings]
    if papers is not None:
        from phangs_xr.qa.report import compose_report

        page = compose_report(field, found, numbers.get("shift"), out, papers)
        lines.append(f"report: {page}")
    return lines, findings


def _reduce(
    field: xr.DataTree, runner: Runner | None, *, report: bool
) -> tuple[xr.Dataset | None, Overview | None]:
    """Reduce the images to what is wanted of them, in one pass."""
    images = list_images(field)
    plans: dict[str, NebulaPlan | OverviewPlan] = {}
    if not _list_missing(field):
        plans["nebulae"] = plan_nebulae(field, images)
    if report:
        plans["overview"] = plan_overview(field, images)
    measurements = {name: plan.measurement for name, plan in plans.items()}
    found = run_reductions(measurements, runner or Runner())
    finished: dict[str, Any] = {name: plan.finish(found[name]) for name, plan in plans.items()}
    return finished.get("nebulae"), finished.get("overview")


def _list_missing(field: xr.DataTree) -> list[str]:
    """Return the inputs that nebulae would be measured with and that the run did not have."""
    needed = {"muse": "musehalpha", "nebula_mask": "nebula_mask"}
    return [name for name, product in needed.items() if not has_product(field, product)]


def _list_fluxes(fluxes: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [
        f"{product} / MUSE: median {one['median_ratio']:.3f}, scatter {one['scatter']:.3f} dex, "
        f"{100 * one['within_10_percent']:.0f} % within 10 %, {one['n']} nebulae that both cover"
        for product, one in fluxes.items()
        if one["n"]
    ]


def _list_shift(shift: Mapping[str, float]) -> list[str]:
    if not shift["shift"] >= 0:
        return []
    text = f"MUSE lies {shift['shift']:.3f} +- {shift['shift_error']:.3f} arcsec from HST"
    if shift.get("taken_out"):
        return [f"{text}: taken out"]
    if shift["shift"] > shift["limit"]:
        text += f": above {shift['limit']} arcsec, so anchoring is not to be trusted"
    return [text]
