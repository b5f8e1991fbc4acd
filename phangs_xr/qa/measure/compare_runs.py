"""Runs of one galaxy beside each other: their nebulae, their pixels, and in what they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from astropy.coordinates import angular_separation
from numpy.typing import NDArray

from phangs_xr.engine.runner import Runner
from phangs_xr.engine.tiles import Measurement, run_reductions
from phangs_xr.errors import GridError, InputError
from phangs_xr.numerics.pair_counts import count_pairs
from phangs_xr.numerics.reductions import Block
from phangs_xr.qa.measure.nebulae import get_nebulae
from phangs_xr.qa.measure.numbers import compare_pairs
from phangs_xr.qa.measure.products import find_best, find_product, get_node, has_product
from phangs_xr.qa.measure.pulls import find_spread
from phangs_xr.schema import PRODUCTS
from phangs_xr.sky import require_one_grid

SAME_PLACE = 1.0
"""Median distance of nebulae of one ID above which two masks are not of one version [arcsec]."""

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Run:
    """One of the runs that are compared.

    Attributes
    ----------
    label
        Short, its own.
    tree
        Lazily opened.
    product
        The map that is compared.
    nebulae
        With its fluxes; empty if they are not measured.
    """

    label: str
    tree: xr.DataTree
    product: str
    nebulae: xr.Dataset

    @property
    def image(self) -> xr.DataArray:
        """The map that is compared."""
        return find_product(self.tree, self.product)


@dataclass(frozen=True, eq=False)
class PixelComparison:
    """How the pixels of one map follow those of another.

    Attributes
    ----------
    n
        Pixels that both have.
    slope, offset
        Of the least-squares line map = slope · reference + offset.
    correlation
        Pearson's.
    counts
        2-D histogram on `phangs_xr.numerics.pair_counts.HISTOGRAM_EDGES`, rows the map's.
    """

    n: int
    slope: float
    offset: float
    correlation: float
    counts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """One run against the reference.

    Attributes
    ----------
    run
        Which.
    nebulae
        Those that both have, along `nebula`: `flux`, `reference`, their errors (NaN where not
        known), `ratio`, `ra`, `dec`; `whole` where both cover them fully.
    numbers
        As of `phangs_xr.qa.measure.numbers.compare_pairs`, and `pull_median`, `pull_scatter`: of
        the difference in the reference's errors, or the run's if it has none.
    pixels
        None where the two are not on one grid.
    notes
        What could not be compared, and why.
    """

    run: Run
    nebulae: xr.Dataset
    numbers: Mapping[str, float]
    pixels: PixelComparison | None
    notes: Sequence[str]


@dataclass(frozen=True)
class ComparePixels:
    """The reduction of two images to what `PixelComparison` needs, in one pass."""

    depth: int = 0
    cell: int = 1
    passes: int = 1

    def start(self) -> None:
        """Begin with nothing known."""

    def look(self, state: Any, block: Block) -> Any:
        """Sum and count one chunk."""
        reference, other = block.owned
        known = np.isfinite(reference) & np.isfinite(other)
        x, y = (image[known].astype(np.float64) for image in (reference, other))
        return _Moments.measure(x, y), count_pairs(reference, other)

    def merge(self, one: Any, other: Any) -> Any:
        """Add two chunks."""
        return one[0].join(other[0]), one[1] + other[1]

    def advance(self, state: Any, merged: Any) -> Any:
        """Be done."""
        return merged

    def is_done(self, state: Any) -> bool:
        """Tell whether the pass is over."""
        return state is not None

    def finish(self, state: Any) -> PixelComparison:
        """Return the line and the histogram."""
        moments, counts = state
        slope = moments.xy / moments.xx if moments.xx > 0 else math.nan
        scale = math.sqrt(moments.xx * moments.yy)
        return PixelComparison(
            n=moments.n,
            slope=slope,
            offset=moments.y - slope * moments.x if moments.n else math.nan,
            correlation=moments.xy / scale if scale > 0 else math.nan,
            counts=counts,
        )


@dataclass(frozen=True)
class _Moments:
    """Number, means, and sums of squares and products about the means."""

    n: int
    x: float
    y: float
    xx: float
    yy: float
    xy: float

    @classmethod
    def measure(cls, x: Values, y: Values) -> _Moments:
        if x.size == 0:
            return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        mean_x, mean_y = float(x.mean()), float(y.mean())
        dx, dy = x - mean_x, y - mean_y
        return cls(x.size, mean_x, mean_y, float(dx @ dx), float(dy @ dy), float(dx @ dy))

    def join(self, other: _Moments) -> _Moments:
        n = self.n + other.n
        if n == 0:
            return self
        share = other.n / n
        dx, dy = other.x - self.x, other.y - self.y
        weight = self.n * share
        return _Moments(
            n,
            self.x + share * dx,
            self.y + share * dy,
            self.xx + other.xx + weight * dx * dx,
            self.yy + other.yy + weight * dy * dy,
            self.xy + other.xy + weight * dx * dy,
        )


def open_runs(
    trees: Mapping[str, xr.DataTree], runner: Runner | None = None, product: str | None = None
) -> list[Run]:
    """Return the runs of some opened stores, by label, with their nebulae.

    Nebulae are those that `qa` has measured, else they are measured by `runner`.

    Raises
    ------
    InputError
        If there are less than two, their galaxies differ, or one does not have the map.
    """
    if len(trees) < 2:
        message = f"two runs or more are needed to compare, found {len(trees)}: give their DIRs"
        raise InputError(message)
    galaxies = {str(tree.attrs.get("galaxy")): label for label, tree in trees.items()}
    if len(galaxies) > 1:
        (one, here), (other, there) = list(galaxies.items())[:2]
        message = (
            f"runs of one galaxy are needed to compare, found {one} in {here} and {other} in "
            f"{there}: compare those of one"
        )
        raise InputError(message)
    runs = []
    for label, tree in trees.items():
        name = product or find_best(tree)
        if name not in PRODUCTS or not has_product(tree, name):
            made = ", ".join(map(str, get_node(tree, "hst").data_vars))
            message = f"{label}: the map {name} is needed to compare, found {made}: give --map"
            raise InputError(message)
        runs.append(Run(label, tree, name, _find_nebulae(tree, name, runner)))
    return runs


def _find_nebulae(tree: xr.DataTree, product: str, runner: Runner | None) -> xr.Dataset:
    """Return a run's nebulae, nothing if it has none or not the fluxes of this map."""
    try:
        nebulae = get_nebulae(tree, product, runner)
    except InputError:
        return xr.Dataset()
    return nebulae.load() if f"flux_{product}" in nebulae else xr.Dataset()


def compare_with(reference: Run, run: Run, runner: Runner | None = None) -> Comparison:
    """Compare a run with the reference, nebula by nebula and pixel by pixel.

    Parameters
    ----------
    reference, run
        Of `open_runs`.
    runner
        Where to reduce the images, tile by tile; threads of this process if None.

    Returns
    -------
    Comparison
        What cannot be compared is left out, and its `notes` say why.
    """
    notes: list[str] = []
    nebulae = _match_nebulae(reference, run, notes)
    numbers = _compare_nebulae(nebulae)
    return Comparison(run, nebulae, numbers, _compare_pixels(reference, run, runner, notes), notes)


def _match_nebulae(reference: Run, run: Run, notes: list[str]) -> xr.Dataset:
    """Return the nebulae that both have, by their ID."""
    for one in (reference, run):
        if not one.nebulae.sizes.get("nebula"):
            notes.append(
                f"No nebulae: the fluxes of {one.product} in {one.label} are not measured."
            )
            return xr.Dataset()
    first, second = (
        one.nebulae.reset_coords().swap_dims(nebula="region_ID").set_coords("region_ID")
        for one in (reference, run)
    )
    first, second = xr.align(first, second, join="inner")
    if not first.sizes["region_ID"]:
        notes.append("No nebulae: the two masks have no ID in common.")
        return xr.Dataset()
    places = [np.deg2rad(one[name].values) for one in (first, second) for name in ("ra", "dec")]
    apart = float(np.rad2deg(np.nanmedian(angular_separation(*places))) * 3600)
    if apart > SAME_PLACE:
        notes.append(f"No nebulae: those of one ID lie {apart:.1f}″ apart, the masks are others.")
        return xr.Dataset()
    return _put_together(first, second, reference.product, run.product)


def _put_together(first: xr.Dataset, second: xr.Dataset, product: str, other: str) -> xr.Dataset:
    def get(one: xr.Dataset, name: str) -> Values:
        values = one[name].values if name in one else np.full(one.sizes["region_ID"], np.nan)
        return np.asarray(values, dtype=np.float64)

    flux, base = get(second, f"flux_{other}"), get(first, f"flux_{product}")
    whole = np.all([get(one, "coverage_hst") == 1 for one in (first, second)], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "ra": first["ra"].values,
            "dec": first["dec"].values,
            "flux": flux,
            "error": get(second, f"flux_{other}_err"),
            "reference": base,
            "reference_error": get(first, f"flux_{product}_err"),
            "ratio": np.where(base != 0, flux / base, np.nan),
            "whole": whole,
        }
    ids = {"region_ID": ("nebula", first["region_ID"].values)}
    return xr.Dataset({name: ("nebula", one) for name, one in columns.items()}, coords=ids)


def _compare_nebulae(nebulae: xr.Dataset) -> dict[str, float]:
    if not nebulae.sizes.get("nebula"):
        return {}
    flux, base = nebulae["flux"].values, nebulae["reference"].values
    known = nebulae["whole"].values & np.isfinite(flux) & np.isfinite(base) & (base > 0)
    error = nebulae["reference_error" if _has_errors(nebulae) else "error"].values
    with np.errstate(divide="ignore", invalid="ignore"):
        pulls = (flux - base)[known] / error[known]
    middle, spread, _ = find_spread(pulls)
    found = compare_pairs(flux[known], base[known])
    return {**found, "pull_median": middle, "pull_scatter": spread}


def _has_errors(nebulae: xr.Dataset) -> bool:
    """Tell whether the reference has errors."""
    return bool(np.isfinite(nebulae["reference_error"].values).any())


def _compare_pixels(
    reference: Run, run: Run, runner: Runner | None, notes: list[str]
) -> PixelComparison | None:
    units = [PRODUCTS[one.product].units for one in (reference, run)]
    if units[0] != units[1]:
        notes.append(
            f"No pixels: {reference.product} is in {units[0]}, {run.product} in {units[1]}."
        )
        return None
    try:
        require_one_grid(**{"the reference": reference.image, "the other": run.image})
    except GridError as error:
        notes.append(f"No pixels: {error}.")
        return None
    measurement = Measurement(ComparePixels(), (reference.image, run.image))
    found = run_reductions({"pixels": measurement}, runner or Runner(), "compare")["pixels"]
    return found if isinstance(found, PixelComparison) and found.n else None


def list_sentences(reference: Run, comparison: Comparison) -> list[str]:
    """Return what a reader wants to know first of a comparison."""
    run, numbers, pixels = comparison.run, comparison.numbers, comparison.pixels
    told = []
    if numbers.get("n"):
        text = (
            f"{run.label}: nebula fluxes of {run.product} are {numbers['median_ratio']:.3f} ± "
            f"{numbers['median_ratio_error']:.3f} of those of {reference.product} in "
            f"{reference.label} (median of {numbers['n']:g}), scatter {numbers['scatter']:.3f} dex"
        )
        if math.isfinite(numbers["pull_scatter"]):
            text += (
                f"; they differ by {numbers['pull_median']:+.2f} ± {numbers['pull_scatter']:.2f} "
                f"of {'its' if _has_errors(comparison.nebulae) else 'their own'} errors"
            )
        told.append(f"{text}.")
    if pixels is not None:
        told.append(
            f"By least squares, pixel by pixel, {run.product} = {pixels.slope:.3f} × "
            f"{reference.product} {pixels.offset:+.3g}, correlation {pixels.correlation:.3f}, "
            f"{pixels.n} pixels."
        )
    return [*told, *comparison.notes]


def list_differences(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Return a row for each thing in which runs differ: what it is, and what it is in each.

    Recipes, package versions, inputs (by content) and options of all steps; "–" where a run does
    not have it.
    """
    told = [_list_facts(run) for run in runs]
    names = dict.fromkeys(name for one in told for name in one)
    rows = [(name, *(one.get(name, "–") for one in told)) for name in names]
    return [row for row in rows if len(set(row[1:])) > 1]


def _list_facts(run: Run) -> dict[str, str]:
    attrs = run.tree.attrs
    facts = {"recipe": str(attrs.get("recipe")), "map": run.product}
    for name, one in attrs.get("inputs", {}).items():
        digest = str(one.get("sha256") or one.get("digest", ""))[:12]
        facts[f"input {name}"] = f"{one.get('path', '')} ({digest})"
    for step, record in attrs.get("records", {}).items():
        options = record.get("options", {})
        facts |= {f"{step} {name}": json.dumps(value) for name, value in options.items()}
        facts.setdefault(f"step {step}", "taken")
    facts |= {f"version {name}": str(one) for name, one in attrs.get("versions", {}).items()}
    return facts


def tabulate_comparison(reference: Run, comparisons: Sequence[Comparison]) -> xr.Dataset:
    """Return one table of the reference's nebulae, with the fluxes and errors of each run.

    Columns along `nebula` are named by what they hold and the run's label; NaN where a run does
    not have the nebula.
    """
    own = reference.nebulae
    if not own.sizes.get("nebula"):
        return xr.Dataset()
    ids = own["region_ID"].values
    units = {"units": PRODUCTS[reference.product].units}
    table = xr.Dataset(coords={"region_ID": ("nebula", ids)})
    for name in ("ra", "dec"):
        table[name] = ("nebula", own[name].values, {"units": "deg"})
    for name in (f"flux_{reference.product}", f"flux_{reference.product}_err"):
        if name in own:
            table[f"{name} {reference.label}"] = ("nebula", own[name].values, units)
    for one in comparisons:
        if not one.nebulae.sizes.get("nebula"):
            continue
        place = {number: index for index, number in enumerate(one.nebulae["region_ID"].values)}
        rows = np.array([place.get(number, -1) for number in ids])
        for name, column in (
            ("flux", f"flux_{one.run.product}"),
            ("error", f"flux_{one.run.product}_err"),
            ("ratio", "ratio"),
        ):
            values = np.where(rows >= 0, one.nebulae[name].values[rows], np.nan)
            attrs = {} if name == "ratio" else units
            table[f"{column} {one.run.label}"] = ("nebula", values, attrs)
    return table
