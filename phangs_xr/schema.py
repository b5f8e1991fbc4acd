"""The vocabulary, as frozen data: every grid, input, product and number, with unit and sentence."""

from dataclasses import dataclass
from typing import Literal

COUNTS = "electron / s"
COUNT_RATES = (COUNTS, "count s-1", "adu s-1")
"""Units of images in counts: PHOTFLAM is per whatever its file counts."""

FLUX = "10**-20 erg s-1 cm-2"
FLUX_DENSITY = "10**-20 erg s-1 cm-2 Angstrom-1"
SURFACE_BRIGHTNESS = "10**-20 erg s-1 cm-2 arcsec-2"
JANSKY = "Jy"
WEIGHT = "s2 electron-2"
SPEED = "km s-1"
PER_ANGSTROM = "Angstrom-1"
RATIO = ""

FLUX_SCALE = 1e20
"""Fluxes are kept in units of 1e-20 erg/s/cm² (per pixel of their own grid), as MUSE maps are."""

BANDS = ("narrow", "continuum1", "continuum2")
"""HST's bands: what holds the line, and the one or two broad ones beside it."""

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
        An image must hold data; a mask may be empty, a weight zero; a table is no image, a cube has
        planes of wavelengths.
    required
        Whether a field cannot do without.
    extension
        Name of the HDU that is meant unless the configuration names another; "" is the first image.
    part_of
        The input whose file it is another HDU of, if the file has it; not a key of `[inputs]`.
    """

    name: str
    grid: GridName
    long_name: str
    kind: Literal["image", "weight", "mask", "table", "cube"] = "image"
    required: bool = False
    extension: str = ""
    part_of: str = ""


_SOURCES = (
    Source("narrow", "hst", "Narrow-band image that holds H-alpha", required=True),
    Source("continuum1", "hst", "First broad-band image", required=True),
    Source("continuum2", "hst", "Second broad-band image"),
    Source("narrow_weight", "hst", "Inverse variance of the narrow band", "weight"),
    Source("continuum1_weight", "hst", "Inverse variance of the first broad band", "weight"),
    Source("continuum2_weight", "hst", "Inverse variance of the second broad band", "weight"),
    Source("muse", "muse", "MAPS file of MUSE's lines", extension="HA6562_FLUX"),
    Source("muse_cube", "muse", "MUSE's spectra, HDU DATA", "cube", extension="DATA"),
    Source("muse_narrow", "muse", "The narrow band, made of MUSE's spectra"),
    Source("muse_continuum1", "muse", "The first broad band, made of MUSE's spectra"),
    Source("muse_continuum2", "muse", "The second broad band, made of MUSE's spectra"),
    *(
        Source(name, "muse", long_name, "mask", extension=extension, part_of="muse")
        for name, extension, long_name in (
            ("muse_halpha_err", "HA6562_FLUX_ERR", "Error of MUSE's H-alpha"),
            ("muse_velocity", "HA6562_VEL", "Velocity of H-alpha relative to REDSHIFT"),
            ("muse_velocity_err", "HA6562_VEL_ERR", "Error of that velocity"),
            ("muse_nii", "NII6583_FLUX", "MUSE's [NII]6583"),
            ("muse_hbeta", "HB4861_FLUX", "MUSE's H-beta"),
            ("muse_oiii", "OIII5006_FLUX", "MUSE's [OIII]5007"),
        )
    ),
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
    resolution
        Whose point-spread function it has, "" if that is not known or it is a mask.
    """

    name: str
    grid: GridName
    units: str
    long_name: str
    resolution: Literal["hst", "muse", ""] = "hst"


_NAMES = {
    "narrow": "narrow band",
    "continuum1": "first broad band",
    "continuum2": "second broad band",
}


def _list_band_products() -> tuple[Product, ...]:
    """Return what is made of each band alike, in the order in which it is made."""
    made = []
    for band, name in _NAMES.items():
        made += [
            Product(f"{band}_weight", "hst", WEIGHT, f"Inverse variance of the {name}", ""),
            Product(f"{band}_err", "hst", COUNTS, f"Error of the {name}"),
            Product(f"{band}_clean", "hst", COUNTS, f"The {name} without cosmic rays"),
            Product(f"{band}_flux", "hst", FLUX_DENSITY, f"Flux density in the {name}"),
            Product(f"{band}_flux_err", "hst", FLUX_DENSITY, f"Error of the {name}'s flux"),
            Product(f"{band}_skysub", "hst", FLUX_DENSITY, f"The {name} without its background"),
            Product(
                f"{band}_bgcorr",
                "hst",
                FLUX_DENSITY,
                f"The {name} without its background and the Milky Way's extinction",
            ),
            Product(f"{band}_bgcorr_err", "hst", FLUX_DENSITY, f"Error of the corrected {name}"),
            Product(
                f"{band}_on_muse",
                "muse",
                FLUX_DENSITY,
                f"HST's {name} at MUSE's resolution, on MUSE's pixels",
                "muse",
            ),
            Product(
                f"muse_{band}", "muse", JANSKY, f"The {name}, folded from MUSE's spectra", "muse"
            ),
            Product(
                f"muse_{band}_flux", "muse", FLUX_DENSITY, f"MUSE's flux in the {name}", "muse"
            ),
            Product(
                f"muse_{band}_corrected",
                "muse",
                FLUX_DENSITY,
                f"MUSE's flux in the {name} without the Milky Way's extinction",
                "muse",
            ),
        ]
    return tuple(made)


_PRODUCTS = (
    Product("narrow", "hst", COUNTS, "Narrow-band image, padding removed"),
    Product("continuum1", "hst", COUNTS, "First broad-band image, on the narrow band's grid"),
    Product("continuum2", "hst", COUNTS, "Second broad-band image, on the narrow band's grid"),
    Product("halpha_raw", "hst", COUNTS, "Continuum-subtracted narrow band"),
    Product("cont_raw", "hst", COUNTS, "Continuum in the narrow band"),
    Product("halpha", "hst", FLUX, "H-alpha flux"),
    Product("halpha_bg", "hst", FLUX, "Background of the H-alpha flux"),
    Product("halpha_bgsub", "hst", FLUX, "Background-subtracted H-alpha flux"),
    Product("musehalpha", "muse", FLUX, "MUSE H-alpha flux", "muse"),
    Product("musehalpha_regrid", "hst", FLUX, "MUSE H-alpha flux on the HST grid", "muse"),
    Product("halpha_smoothed", "hst", FLUX, "H-alpha flux at MUSE's resolution", "muse"),
    Product("hstmuseratio", "hst", RATIO, "MUSE over smoothed HST H-alpha flux", ""),
    Product("hstmusediff", "hst", FLUX, "MUSE minus smoothed HST H-alpha flux", ""),
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
    Product("cosmic_mask", "hst", RATIO, "1 where a cosmic ray was cut", ""),
    *_list_band_products(),
    Product("footprint", "hst", RATIO, "1 where all bands have data, 0 elsewhere", ""),
    Product("hst_cont", "hst", FLUX, "Continuum in the narrow band"),
    Product("hst_contsub", "hst", FLUX, "Narrow-band flux without its continuum"),
    Product("hst_contsub_err", "hst", FLUX, "Error of the flux without its continuum"),
    Product("unsubtracted_mask", "hst", RATIO, "1 where no continuum was subtracted", ""),
    Product("hst_ha", "hst", FLUX, "H-alpha flux, without [NII]"),
    Product("hst_ha_err", "hst", FLUX, "Error of the H-alpha flux"),
    Product("hst_ha_as2", "hst", SURFACE_BRIGHTNESS, "H-alpha surface brightness"),
    Product("hst_ha_err_as2", "hst", SURFACE_BRIGHTNESS, "Error of the H-alpha surface brightness"),
    Product("muse_contsub", "muse", FLUX, "MUSE's narrow-band flux, continuum off", "muse"),
    Product(
        "muse_contsub_ha", "muse", FLUX, "MUSE's narrow-band H-alpha flux, without [NII]", "muse"
    ),
    Product("muse_ha_as2", "muse", SURFACE_BRIGHTNESS, "MUSE H-alpha surface brightness", "muse"),
    Product(
        "muse_contsub_ha_as2",
        "muse",
        SURFACE_BRIGHTNESS,
        "MUSE's narrow-band H-alpha surface brightness",
        "muse",
    ),
    Product("musehalpha_err", "muse", FLUX, "Error of MUSE's H-alpha flux", "muse"),
    Product("line_velocity", "muse", SPEED, "Velocity of H-alpha relative to REDSHIFT", "muse"),
    Product("line_velocity_err", "muse", SPEED, "Error of the velocity", "muse"),
    Product("nii_flux", "muse", FLUX, "MUSE [NII]6583 flux", "muse"),
    Product("hbeta_flux", "muse", FLUX, "MUSE H-beta flux", "muse"),
    Product("oiii_flux", "muse", FLUX, "MUSE [OIII]5007 flux", "muse"),
    Product(
        "line_response", "muse", PER_ANGSTROM, "What the narrow band sees of the lines", "muse"
    ),
    Product(
        "continuum1_response",
        "muse",
        PER_ANGSTROM,
        "What the first broad band sees of the lines",
        "muse",
    ),
    Product(
        "continuum2_response",
        "muse",
        PER_ANGSTROM,
        "What the second broad band sees of the lines",
        "muse",
    ),
    Product("halpha_hst", "hst", FLUX, "H-alpha flux by HST alone, as MUSE calibrates it"),
    Product("halpha_hst_err", "hst", FLUX, "Error of HST's H-alpha flux"),
    Product("continuum", "hst", FLUX_DENSITY, "Continuum at the narrow band"),
    Product("continuum_err", "hst", FLUX_DENSITY, "Error of the continuum"),
    Product("colour", "hst", RATIO, "Logarithm of the broad bands' ratio, smoothed", ""),
    Product("equivalent_width", "hst", "Angstrom", "H-alpha flux over continuum"),
    Product("halpha_on_muse", "muse", FLUX, "HST's H-alpha flux as MUSE sees it", "muse"),
    Product("muse_minus_hst", "muse", FLUX, "MUSE's H-alpha flux less HST's", "muse"),
    Product("joint_correction", "muse", FLUX, "What MUSE adds to HST's H-alpha flux", "muse"),
    Product("muse_share", "muse", RATIO, "Share of the correction's weight with MUSE data", ""),
    Product("halpha_joint", "hst", FLUX, "H-alpha flux, the best estimate of HST and MUSE"),
    Product("halpha_joint_err", "hst", FLUX, "Error of the best estimate"),
    Product("muse_coverage", "hst", RATIO, "How much MUSE has a part in the best estimate", ""),
    Product("nebula_mask", "muse", RATIO, "Nebula region_ID, NaN outside", ""),
    Product("star_mask", "muse", RATIO, "Non-zero on foreground stars", ""),
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
    "data_box": Number("pix", "First and last row, first and last column with data", ("edge4",)),
    "pixel_noise_ratio": Number(
        "", "Scatter of single pixels over what the weights, or sums, say", ("band",)
    ),
    "pixel_noise": Number(COUNTS, "Scatter of single pixels on the sky", ("band",)),
    "sky_slope": Number("", "Of HST's band at MUSE's resolution against MUSE's", ("band",)),
    "sky_intercept": Number(
        FLUX_DENSITY, "Of HST's band against MUSE's, per MUSE pixel", ("band",)
    ),
    "sky_points": Number(
        FLUX_DENSITY, "Medians of the bins, MUSE and HST", ("band", "sky_bin", "xy")
    ),
    "sky_histogram": Number(
        "", "Spaxels by HST (rows) and MUSE (columns)", ("band", "hst_bin", "muse_bin")
    ),
    "nii_slope": Number("", "Of MUSE's narrow-band flux against its H-alpha: what [NII] adds"),
    "nii_intercept": Number(FLUX, "Of MUSE's narrow-band flux against its H-alpha"),
    "nii_slope_equal_number": Number("", "The same slope by bins of equal number"),
    "nii_points": Number(FLUX, "Medians of the bins, MAPS and narrow band", ("nii_bin", "xy")),
    "nii_histogram": Number(
        "", "Spaxels by narrow band (rows) and H-alpha (columns)", ("hst_bin", "muse_bin")
    ),
    "unsubtracted": Number("pix", "Pixels whose continuum counts as 0: a band is not positive"),
    "muse_noise": Number(FLUX, "Noise of a spaxel of MUSE's H-alpha, as measured"),
    "field_velocity": Number(SPEED, "Median velocity of the lines relative to REDSHIFT"),
    "field_ratios": Number("", "[NII], H-beta and [OIII] over H-alpha of the field", ("line",)),
    "clipped_sky": Number(FLUX_DENSITY, "Clipped median of HST's bands, per pixel", ("band",)),
    "cosmic_pixels": Number("pix", "Pixels in which any band had a cosmic ray"),
    "gain": Number("", "Of HST's line flux over MUSE's"),
    "gain_error": Number("", "Standard error of the gain"),
    "continuum_q": Number("", "Continuum over the interpolated one, by powers of ln u", ("power",)),
    "continuum_q_error": Number("", "Their standard errors", ("power",)),
    "continuum_colour": Number("", "ln u about which q expands, least, largest", ("colour3",)),
    "field_sky": Number(FLUX_DENSITY, "Sky of HST's bands, per pixel", ("band",)),
    "muse_shift": Number("pix", "Rows and columns by which MUSE lies beyond HST", ("axis",)),
    "muse_shift_error": Number("pix", "Standard error of the shift's length"),
    "mean_response": Number(PER_ANGSTROM, "Median line response of the bands", ("band",)),
    "calibration_error": Number("", "Relative error that all fluxes have in common"),
    "hst_noise": Number(FLUX, "Median error of a pixel of HST's H-alpha"),
    "muse_noise_level": Number(FLUX, "Median error of a spaxel of MUSE's H-alpha"),
    "residual_excess": Number(
        "", "Variance of MUSE less HST in bright spaxels beyond that elsewhere"
    ),
    "residual_relative": Number(RATIO, "Relative error of HST's map against MUSE, beyond noise"),
    "residual_left": Number("", "What of residual_excess does not go with the flux"),
}
