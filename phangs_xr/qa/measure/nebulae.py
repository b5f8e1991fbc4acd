"""Nebula photometry: what HST's and MUSE's maps hold of each nebula of a mask."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import xarray as xr
from astropy import units as u
from astropy.coordinates import angular_separation
from numpy.typing import NDArray

from phangs_xr.engine.runner import Runner
from phangs_xr.engine.tiles import Measurement, run_reductions
from phangs_xr.errors import InputError
from phangs_xr.numerics.filters import FWHM_TO_SIGMA
from phangs_xr.numerics.joint_kernel import find_error_ratios
from phangs_xr.numerics.lazy import reduce_images
from phangs_xr.photometry.labels import require_units
from phangs_xr.qa.measure.label_sums import (
    LabelMap,
    Labels,
    SumNebulae,
    count_beyond,
    number_nebulae,
)
from phangs_xr.qa.measure.products import find_best, get_node, list_compared, list_images
from phangs_xr.recipes import BARNES2023
from phangs_xr.recipes.step import ERROR
from phangs_xr.schema import FLUX, PRODUCTS, RATIO
from phangs_xr.sky import find_overlap, get_grid, measure_separation, require_one_grid
from phangs_xr.steps.weigh_residual import find_density, find_excess

_log = logging.getLogger(__name__)

HST_FLUXES = {f"flux_{name}": name for name in BARNES2023.compared}
"""Which product each HST flux is summed from, of a field that does not say its recipe."""

_BESIDE = {
    "flux_muse": (FLUX, "MUSE H-alpha flux"),
    "coverage_hst": (RATIO, "Fraction of the nebula's HST pixels that have data"),
    "coverage_muse": (RATIO, "Fraction of the nebula's MUSE pixels that have data"),
    "ra": ("deg", "Right ascension of the nebula's centre"),
    "dec": ("deg", "Declination of the nebula's centre"),
    "area": ("arcsec2", "Area of the nebula in the mask"),
}
"""Units and meaning of what `measure_nebulae` measures beside HST's fluxes."""

_WIDTHS = {
    "equivalent_width": ("Angstrom", "Equivalent width of H-alpha: flux over continuum"),
    f"equivalent_width{ERROR}": ("Angstrom", "Error of the equivalent width of H-alpha"),
}
"""The same of what it measures where there is a continuum."""

MEASURED = {
    **{flux: (FLUX, PRODUCTS[name].long_name) for flux, name in HST_FLUXES.items()},
    **_BESIDE,
}
"""All that it measures of such a field."""

CONTINUUM = ("continuum", f"continuum{ERROR}")
"""Under the line, with its error: equivalent widths are measured where there are both."""

STEP = "measure_nebulae"

CATALOGUE_TOLERANCE = 5.0
"""Median distance [arcsec] from the mask's to the catalogue's positions above which the two are
not of one version: centres by flux and by area differ by much less."""


def measure_nebulae(field: xr.DataTree, runner: Runner | None = None) -> xr.Dataset:
    """Measure every nebula of a field on the HST products and on MUSE's map.

    Parameters
    ----------
    field
        `/hst` with the maps that its recipe compares, the first of them at least, and their errors
        as far as there are such; `/muse` with `nebula_mask` and, if there is MUSE data,
        `musehalpha`; `/nebulae` with the catalogue's columns, if there is a catalogue.
    runner
        Where to work on lazily opened images, tile by tile; threads if None. Images that are dask
        graphs are computed by dask.

    Returns
    -------
    xr.Dataset
        One row along `nebula` for every ID of the mask, coordinate `region_ID`: `flux_X` of each
        map X that is compared, `flux_X_err` of each that has an error, place, area and coverage,
        `equivalent_width` of the best map where there is a continuum, with its error (NaN where the
        continuum is not above three errors), and the catalogue's columns under their own names
        (`catalogue_ra` and the like if the name is taken), NaN or empty where it has no row for the
        ID. A flux is the sum over the pixels with data, NaN if there are none. Its error takes into
        account that drizzling correlates neighbours: it is that of independent pixels over
        `pixel_noise_ratio`. A coverage is the fraction of the nebula's pixels with data: of all
        pixels of the HST grid, continued beyond the mosaic's edges, whose centres fall on the
        nebula, so it is 1 exactly if none is missing.

    Raises
    ------
    InputError
        If the store lacks the mask or the first map, a unit is another, the mask has no nebula or
        lies on another sky than HST's image, or the catalogue's nebulae are not those of the
        mask.
    """
    plan = plan_nebulae(field)
    # `chunks` tells without reading the image, as `is_chunked` would.
    if any(image.chunks is not None for image in plan.images.values()):
        return plan.finish(reduce_images(plan.reduction, *plan.images.values()).compute())
    return plan.finish(run_reductions({"nebulae": plan.measurement}, runner or Runner())["nebulae"])


def get_nebulae(field: xr.DataTree, product: str, runner: Runner | None = None) -> xr.Dataset:
    """Return what `qa` has measured of a field's nebulae, or measure it.

    That of `/nebulae` holds if it has the flux of `product` and the flux is no catalogue's. Errors
    and `runner` are those of `measure_nebulae`.
    """
    nebulae = get_node(field, "nebulae")
    flux = nebulae.get(f"flux_{product}")
    if flux is not None and flux.attrs.get("step") == STEP:
        return nebulae
    return measure_nebulae(field, runner)


def plan_nebulae(
    field: xr.DataTree, images: Mapping[str, xr.DataArray] | None = None
) -> NebulaPlan:
    """Say what of the HST images must be measured for `measure_nebulae`, which does it alone.

    `images` are those of `list_images`, so that a pass for several measurements reads each once.
    Errors are those of `measure_nebulae`.
    """
    hst = list_images(field) if images is None else images
    muse = get_node(field, "muse").data_vars
    _require(muse, "nebula_mask", "muse", "name it in the configuration and run again")
    compared = list_compared(field)
    _require(hst, compared[0], "hst", "run the recipe first")
    mask = muse["nebula_mask"]
    maps = [name for name in compared if name in hst]
    errors = [f"{name}{ERROR}" for name in maps if f"{name}{ERROR}" in hst]
    summed = {f"flux_{name}": hst[name] for name in (*maps, *errors)}
    if all(name in hst for name in CONTINUUM):
        summed |= {name: hst[name] for name in CONTINUUM}
    grid = require_one_grid(**{str(image.name): image for image in summed.values()})
    for image in summed.values():
        require_units(image, str(image.name))
    ys, xs = find_overlap(get_grid(mask), grid, 0)
    if ys.start == ys.stop or xs.start == xs.stop:
        raise InputError(
            f"expected nebula_mask and the HST image on one part of the sky, found their centres "
            f"{measure_separation(get_grid(mask), grid):.1f} arcmin apart without overlap: "
            f"give the mask of this galaxy"
        )
    ids, labels = number_nebulae(mask.values)
    if not ids.size:
        raise InputError(
            "expected region_IDs in nebula_mask, found no pixel of a nebula on MUSE's field: "
            "give the mask of this galaxy"
        )
    nebulae = LabelMap.build(labels, get_grid(mask), ids.size)
    squared = tuple(place for place, name in enumerate(summed) if name.endswith(ERROR))
    return NebulaPlan(field, ids, labels, summed, SumNebulae(nebulae, grid, len(summed), squared))


@dataclass(frozen=True, eq=False)
class NebulaPlan:
    """What must be measured of the nebulae in a pass over the HST images, and what comes of it.

    `ids` and `labels` are those of `number_nebulae`; `images` are what `reduction` sums, by the
    name of the flux.
    """

    field: xr.DataTree
    ids: NDArray[Any]
    labels: Labels
    images: Mapping[str, xr.DataArray]
    reduction: SumNebulae

    @property
    def measurement(self) -> Measurement:
        """For the pass."""
        return Measurement(self.reduction, tuple(self.images.values()))

    def finish(self, found: Mapping[str, NDArray[Any]]) -> xr.Dataset:
        """Return what `measure_nebulae` does, from what the measurement found."""
        sums = {name: found["sums"][:, index] for index, name in enumerate(self.images)}
        rows, columns = np.nonzero(self.labels >= 0)
        own = self.labels[rows, columns]
        area, grid = np.bincount(own, minlength=self.ids.size), self.reduction.nebulae.grid
        model = ErrorModel.read(self.field)
        muse = self._measure_muse()
        spaxel = muse.get("flux_muse_err", np.zeros(area.size)) / np.sqrt(
            np.maximum(muse["coverage_muse"] * area, 1)
        )
        width = self._measure_width(sums, model.ratio)
        sums = {name: one for name, one in sums.items() if name not in CONTINUUM}
        sums |= {
            name: model.widen(
                name, np.sqrt(squares), sums[name.removesuffix(ERROR)], spaxel, self.labels
            )
            for name, squares in sums.items()
            if name.endswith(ERROR)
        }
        pixels = found["pixels"] + count_beyond(self.reduction.nebulae, self.reduction.grid)
        if width is not None:
            best = f"flux_{find_best(self.field)}"
            relative = np.hypot(sums[f"{best}{ERROR}"] / sums[best], width[1])
            sums["equivalent_width"] = sums[best] / width[0]
            sums[f"equivalent_width{ERROR}"] = np.abs(sums["equivalent_width"]) * relative
        # A nebula smaller than the grid's pixels can lie between their centres.
        covered = found["counts"][:, 0]
        measured = {**sums, "coverage_hst": covered / np.maximum(pixels, 1)}
        measured |= muse
        measured["ra"], measured["dec"] = grid.to_sky(
            np.bincount(own, weights=rows) / area, np.bincount(own, weights=columns) / area
        )
        measured["area"] = area * grid.pixel_area
        unknown = np.full(self.ids.size, np.nan)
        variables = {
            name: (
                "nebula",
                measured.get(name, unknown),
                {"units": units, "long_name": long_name, "step": STEP},
            )
            for name, (units, long_name) in {**self._describe_fluxes(), **_BESIDE}.items()
        }
        if "flux_muse_err" in measured:
            attrs = {"units": FLUX, "long_name": "Error of the MUSE H-alpha flux", "step": STEP}
            variables["flux_muse_err"] = ("nebula", measured["flux_muse_err"], attrs)
        ids = ("nebula", self.ids, {"long_name": "Number of the nebula in the mask"})
        dataset = xr.Dataset(variables, {"region_ID": ids})
        return _join_catalogue(dataset, get_node(self.field, "nebulae"))

    def _describe_fluxes(self) -> dict[str, tuple[str, str]]:
        """Units and meaning of the fluxes of all maps that are compared, there or not."""
        names = [f"flux_{name}" for name in list_compared(self.field)]
        names += [name for name in self.images if name.endswith(ERROR) and name not in CONTINUUM]
        fluxes = {name: (FLUX, PRODUCTS[name.removeprefix("flux_")].long_name) for name in names}
        return fluxes | (_WIDTHS if CONTINUUM[0] in self.images else {})

    def _measure_width(
        self, sums: Mapping[str, NDArray[Any]], ratio: float
    ) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Return the continuum under each nebula [flux per Å] and its relative error.

        NaN where it is not above three errors; None without a continuum.
        """
        if CONTINUUM[0] not in sums:
            return None
        level, squares = (sums[name] for name in CONTINUUM)
        error = np.sqrt(squares) / ratio
        known = np.where(level > 3 * error, level, np.nan)
        return known, error / known

    def _measure_muse(self) -> dict[str, NDArray[Any]]:
        """Sum MUSE's map over each nebula, on the mask's own grid."""
        size = self.ids.size
        musehalpha = get_node(self.field, "muse").get("musehalpha")
        if musehalpha is None:
            return {"coverage_muse": np.zeros(size)}
        require_units(musehalpha, "musehalpha")
        covered = (self.labels >= 0) & np.isfinite(musehalpha.values)
        own = self.labels[covered]
        counts = np.bincount(own, minlength=size)
        sums = np.bincount(own, weights=musehalpha.values[covered], minlength=size)
        error = get_node(self.field, "muse").get("musehalpha_err")
        found = {}
        if error is not None:
            squares = np.nan_to_num(error.values[covered].astype(np.float64)) ** 2
            total = np.bincount(own, weights=squares, minlength=size)
            found["flux_muse_err"] = np.where(counts > 0, np.sqrt(total), np.nan)
        return {
            **found,
            "flux_muse": np.where(counts > 0, sums, np.nan),
            "coverage_muse": counts / np.bincount(self.labels[self.labels >= 0], minlength=size),
        }


@dataclass(frozen=True)
class ErrorModel:
    """How the errors of sums follow from those of pixels.

    Attributes
    ----------
    ratio
        Scatter of single pixels over what sums of many say.
    calibration
        Relative error that all fluxes have in common.
    relative
        Error of HST's map that goes with the flux, from spaxel to spaxel.
    sigma, hst, muse, excess, left
        Of `phangs_xr.numerics.joint_kernel.find_error_ratios`; NaN where there is no such map.
    """

    ratio: float = 1.0
    calibration: float = 0.0
    relative: float = 0.0
    sigma: float = float("nan")
    hst: float = float("nan")
    muse: float = float("nan")
    excess: float = 0.0
    left: float = 0.0

    @classmethod
    def read(cls, field: xr.DataTree) -> ErrorModel:
        """Read the numbers of a field's run."""
        ratio = find_noise_ratio(field)
        fits, hst, muse = (get_node(field, name) for name in ("fits", "hst", "muse"))
        if "residual_relative" not in fits or "halpha_hst" not in hst or "musehalpha" not in muse:
            return cls(ratio)
        wide, sharp = (one.attrs.get("fwhm") for one in (muse["musehalpha"], hst["halpha_hst"]))
        if wide is None or sharp is None:
            return cls(ratio)
        spaxel = get_grid(muse["musehalpha"]).pixel_area
        sigma = FWHM_TO_SIGMA * np.sqrt((wide**2 - sharp**2) / spaxel)
        area = spaxel / get_grid(hst["halpha_hst"]).pixel_area
        density = find_density(float(fits["hst_noise"]), ratio, area)
        return cls(
            ratio,
            float(fits.get("calibration_error", 0.0)),
            float(fits["residual_relative"]),
            float(sigma),
            float(density),
            float(fits["muse_noise_level"]) ** 2,
            find_excess(float(fits["residual_excess"]), density, float(sigma)),
            find_excess(float(fits["residual_left"]), density, float(sigma)),
        )

    def widen(
        self,
        name: str,
        error: NDArray[Any],
        flux: NDArray[Any],
        spaxel: NDArray[Any],
        labels: Labels,
    ) -> NDArray[Any]:
        """Return the errors of sums, from those of independent pixels.

        Parameters
        ----------
        name
            Of the error: `flux_halpha_joint_err`.
        error
            Square roots of the sums of the pixels' squared errors.
        flux
            The sums.
        spaxel
            Root mean square error of a spaxel of MUSE's in each nebula.
        labels
            The nebulae on MUSE's pixels, as `number_nebulae` returns them.
        """
        error = error / self.ratio
        if not np.isfinite(self.sigma):
            return error
        places = scipy.ndimage.find_objects(labels + 1)
        masks = (labels[place] == number for number, place in enumerate(places))
        parts = find_error_ratios(self.sigma, self.hst, self.muse, self.excess, self.left, masks)
        if not name.startswith("flux_halpha_joint"):
            relative = np.hypot(self.calibration, self.relative)
            return np.asarray(np.hypot(error * parts["own"], relative * flux))
        relative = np.hypot(self.calibration, self.relative * parts["share"])
        noise = np.hypot(error * parts["kept"], spaxel * parts["muse"])
        return np.asarray(np.hypot(noise, relative * flux))


def find_noise_ratio(field: xr.DataTree) -> float:
    """Return the scatter of single pixels over what sums of many say, of the narrow band.

    1 where it was not measured: errors are then those of independent pixels.
    """
    ratio = get_node(field, "fits").get("pixel_noise_ratio")
    first = np.nan if ratio is None else float(ratio.values[0])
    return first if np.isfinite(first) and first > 0 else 1.0


def _require(images: Mapping[Any, xr.DataArray], name: str, node: str, remedy: str) -> None:
    if name not in images:
        found = ", ".join(map(str, images)) or "nothing"
        raise InputError(f"expected {name} in /{node} of the store, found {found}: {remedy}")


def _join_catalogue(measured: xr.Dataset, catalogue: xr.Dataset) -> xr.Dataset:
    """Add the catalogue's columns, without those of an earlier measurement, by region_ID."""
    # A store lists its arrays in the file system's order.
    columns = {
        name: catalogue.variables[name]
        for name in sorted(map(str, catalogue.data_vars))
        if catalogue[name].dims == ("nebula",) and catalogue[name].attrs.get("step") != STEP
    }
    if not columns:
        return measured
    ids, known = measured["region_ID"].values, catalogue["region_ID"].values
    _, rows, places = np.intersect1d(ids, known, return_indices=True)
    if not rows.size:
        raise InputError(
            f"expected the region_IDs of nebula_mask ({ids.min()} to {ids.max()}) in the nebula "
            f"catalogue, found none of them: give mask and catalogue of one version"
        )
    if rows.size < ids.size:
        _log.info("%d of %d nebulae have no row in the catalogue", ids.size - rows.size, ids.size)
    joined = measured.assign(
        {
            f"catalogue_{name}" if name in measured else name: (
                "nebula",
                _fill_rows(column.values, rows, places, ids.size),
                column.attrs,
            )
            for name, column in columns.items()
        }
    )
    _require_same_places(joined)
    return joined


def _fill_rows(
    values: NDArray[Any], rows: NDArray[np.intp], places: NDArray[np.intp], size: int
) -> NDArray[Any]:
    """Place some of a column's values into rows of a longer one; the others NaN or empty."""
    if values.dtype.kind in "TUOS":
        filled = np.full(size, "", dtype=np.dtypes.StringDType())
        filled[rows] = [str(value) for value in values[places]]
        return filled
    dtype = values.dtype if rows.size == size or values.dtype.kind == "f" else np.dtype(float)
    column = np.full(size, np.nan if dtype.kind == "f" else 0, dtype=dtype)
    column[rows] = values[places]
    return column


def _require_same_places(nebulae: xr.Dataset) -> None:
    """Refuse a catalogue whose positions are not those of the mask's nebulae of the same IDs."""
    if "cen_ra" not in nebulae or "cen_dec" not in nebulae:
        return
    angles = [np.radians(nebulae[name].values) for name in ("ra", "dec", "cen_ra", "cen_dec")]
    distance = np.degrees(angular_separation(*angles)) * u.deg.to(u.arcsec)
    found = np.nanmedian(distance) if np.isfinite(distance).any() else 0.0
    if found > CATALOGUE_TOLERANCE:
        raise InputError(
            f"expected the catalogue's nebulae within {CATALOGUE_TOLERANCE:g} arcsec of the same "
            f"region_IDs in nebula_mask, found a median distance of {found:.1f} arcsec: "
            f"give mask and catalogue of one version"
        )
