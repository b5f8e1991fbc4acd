"""The vocabulary, as frozen data: every grid, input, product and number, with unit and sentence."""

from dataclasses import dataclass
from typing import Literal

COUNTS = "electron / s"
COUNT_RATES = (COUNTS, "count s-1", "adu s-1")
"""Units of images in counts: PHOTFLAM is per whatever its file counts."""

FLUX = "10**-20 erg s-1 cm-2"
RATIO = ""

FLUX_SCALE = 1e20
"""Fluxes are kept in units of 1e-20 erg/s/cm² (per pixel of their own grid), as MUSE maps are."""

GridName = Literal["hst", "muse", "nebulae", "fits"]

GRIDS: tuple[GridName, ...] = ("hst", "muse")
"""The pixel grids of a field, each a node of its tree, from large to small images.

A new one is named here and in `GridName`; its pixels are those of the first of `SOURCES` on it that
is given, which must overlap the first grid's on the sky.
"""


@dataclass(frozen=True)
class Source:
    """One kind of input file, under the name it has in the configuration and in steps.

    Attributes
    ----------
    name
        Key of `[inputs]`, and parameter of the steps that take it.
    grid
        The node its pixels, or rows, belong to.
    long_name
        One sentence for people.
    kind
        An image must hold data; a mask may be empty; a table is no image.
    required
        Whether a field cannot do without.
    extension
        Name of the HDU that is meant unless the configuration names another; "" is the first image.
    """

    name: str
    grid: GridName
    long_name: str
    kind: Literal["image", "mask", "table"] = "image"
    required: bool = False
    extension: str = ""


_SOURCES = (
    Source("narrow", "hst", "Narrow-band image that holds H-alpha", required=True),
    Source("continuum1", "hst", "First broad-band image", required=True),
    Source("continuum2", "hst", "Second broad-band image"),
    Source("muse", "muse", "MAPS file of MUSE's lines", extension="HA6562_FLUX"),
    Source("nebula_mask", "muse", "region_ID of each pixel", "mask"),
    Source("nebula_catalogue", "nebulae", "Table of nebulae, with galaxy and region_ID", "table"),
    Source("star_mask", "muse", "Non-zero on foreground stars", "mask"),
)

SOURCES: dict[str, Source] = {source.name: source for source in _SOURCES}


@dataclass(frozen=True)
class Product:
    """One thing a step makes, under the one name it has everywhere.

    Attributes
    ----------
    name
        Variable in the store, and `{galaxy}_{name}.fits`.
    grid
        The node of the field it lives on; `fits` holds small measured results, not images.
    units
        As both of astropy's unit parsers, generic and FITS, read them.
    long_name
        One sentence for people.
    """

    name: str
    grid: GridName
    units: str
    long_name: str


_PRODUCTS = (
    Product("narrow", "hst", COUNTS, "Narrow-band image, padding removed"),
    Product("continuum1", "hst", COUNTS, "First broad-band image, on the narrow band's grid"),
    Product("continuum2", "hst", COUNTS, "Second broad-band image, on the narrow band's grid"),
    Product("halpha_raw", "hst", COUNTS, "Continuum-subtracted narrow band"),
    Product("cont_raw", "hst", COUNTS, "Continuum in the narrow band"),
    Product("halpha", "hst", FLUX, "H-alpha flux"),
    Product("halpha_bg", "hst", FLUX, "Background of the H-alpha flux"),
    Product("halpha_bgsub", "hst", FLUX, "Background-subtracted H-alpha flux"),
    Product("musehalpha", "muse", FLUX, "MUSE H-alpha flux"),
    Product("musehalpha_regrid", "hst", FLUX, "MUSE H-alpha flux on the HST grid"),
    Product("halpha_smoothed", "hst", FLUX, "H-alpha flux at MUSE's resolution"),
    Product("hstmuseratio", "hst", RATIO, "MUSE over smoothed HST H-alpha flux"),
    Product("hstmusediff", "hst", FLUX, "MUSE minus smoothed HST H-alpha flux"),
    Product("anchored", "hst", FLUX, "H-alpha flux anchored to MUSE by the ratio"),
    Product("diff_anchored", "hst", FLUX, "H-alpha flux anchored to MUSE by the difference"),
    Product("anchored_intnegs", "hst", FLUX, "Anchored flux, negatives interpolated"),
    Product("fit_anchored", "hst", FLUX, "H-alpha flux anchored to MUSE by a line"),
    Product("fit_anchored_intnegs", "hst", FLUX, "Line-anchored flux, negatives interpolated"),
    Product("anchored_wnoise", "hst", FLUX, "Anchored flux with noise added"),
    Product("anchored_intnegs_wnoise", "hst", FLUX, "Interpolated anchored flux with noise"),
    Product(
        "anchored_intnegs_nocosmic", "hst", FLUX, "Interpolated anchored flux, cosmic rays cut"
    ),
    Product("cosmic_mask", "hst", RATIO, "1 where a cosmic ray was cut"),
    Product("nebula_mask", "muse", RATIO, "Nebula region_ID, NaN outside"),
    Product("star_mask", "muse", RATIO, "Non-zero on foreground stars"),
)

PRODUCTS: dict[str, Product] = {product.name: product for product in _PRODUCTS}


@dataclass(frozen=True)
class Number:
    """A measured number, or small array of numbers, that a step found.

    Attributes
    ----------
    units
        As of `Product`.
    long_name
        One sentence for people.
    dims
        Names of its dimensions, none for a single number.
    """

    units: str
    long_name: str
    dims: tuple[str, ...] = ()


NUMBERS: dict[str, Number] = {
    "zero_is_outside": Number("", "1 if the nebula mask marks what is outside nebulae by 0"),
    "threshold": Number(FLUX, "Pixels above this belong to sources"),
    "background_mesh": Number(FLUX, "Background of each box", ("box_y", "box_x")),
    "background_box": Number("pix", "Rows and columns of a box", ("axis",)),
    "background_origin": Number("pix", "Row and column of the first box", ("axis",)),
    "offset": Number(FLUX, "Added to the HST flux before it is scaled by the ratio"),
    "slope": Number("", "Of smoothed HST against MUSE flux"),
    "slope_error": Number("", "Standard error of the slope, pixels taken as independent"),
    "intercept": Number(FLUX, "Of smoothed HST against MUSE flux"),
    "intercept_error": Number(FLUX, "Standard error of the intercept, pixels as independent"),
    "correlation": Number("", "Pearson's, of smoothed HST and MUSE flux"),
    "pixels": Number("", "Number of pixels that the line was fitted to"),
    "negative_rms": Number(FLUX, "MAD standard deviation of the negatives of fit_anchored"),
    "histogram_edges": Number(FLUX, "Edges of the bins of anchor_histogram", ("edge",)),
    "anchor_histogram": Number(
        "", "Pixels by smoothed HST (rows) and MUSE flux (columns)", ("hst_bin", "muse_bin")
    ),
    "noise_anchored": Number(FLUX, "Noise added to anchored"),
    "noise_anchored_intnegs": Number(FLUX, "Noise added to anchored_intnegs"),
    "sky_median": Number(FLUX, "Clipped median of diff_anchored"),
    "sky_std": Number(FLUX, "Clipped standard deviation of diff_anchored"),
    "sources": Number("", "Number of sources tested for being cosmic rays"),
    "cosmic_rays": Number("pix", "Positions (x, y) of the cosmic rays", ("cosmic_ray", "xy")),
}
