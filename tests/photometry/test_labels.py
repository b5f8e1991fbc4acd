"""What a product says of itself, and what is refused in its place."""

import numpy as np
import pytest

from phangs_xr.errors import GridError, InputError
from phangs_xr.photometry.labels import label_product, require_products, require_units
from phangs_xr.schema import COUNTS, FLUX, PRODUCTS
from phangs_xr.sky import get_grid
from tests.images import make_flux, make_image

ONES = np.ones((4, 6), np.float32)


def test_label_product__replaces_all_attributes_by_the_product_s():
    image = make_image(ONES, "adu", object="M 74")
    labelled = label_product(image, "halpha", "convert_units", photflam=1e-18)
    assert labelled.name == "halpha"
    assert labelled.attrs["units"] == FLUX
    assert labelled.attrs["long_name"] == PRODUCTS["halpha"].long_name
    assert labelled.attrs["step"] == "convert_units"
    assert labelled.attrs["photflam"] == 1e-18
    assert get_grid(labelled) == get_grid(image)
    assert label_product(image, "narrow", "load", units="adu s-1").attrs["units"] == "adu s-1"


@pytest.mark.parametrize("units", [COUNTS, "count s-1", "adu s-1"])
def test_require_units__takes_any_rate_of_counts_for_counts_alone(units):
    require_units(make_image(ONES, units), "narrow")
    with pytest.raises(InputError, match=rf"^halpha should have units '.*', found '{units}': "):
        require_units(make_image(ONES, units), "halpha")


def test_require_units__tells_how_to_mend_an_image_of_no_file():
    with pytest.raises(InputError, match=r"found 'Jy': convert the image and set attrs\['units'\]"):
        require_units(make_image(ONES, "Jy"), "narrow")


def test_require_units__tells_the_file_s_own_words_and_the_remedy():
    image = make_image(ONES, "", source="data/m.fits", fits_header="BUNIT   = 'furlong'")
    remedy = r'\[inputs\] muse = \{ path = "...", units = "10\*\*-20 erg s-1 cm-2" \}$'
    with pytest.raises(InputError, match=rf"found 'furlong' in data/m\.fits: .* {remedy}"):
        require_units(image, "musehalpha", "muse")


def test_require_products__returns_the_one_grid_of_images_in_their_units():
    image = make_flux(ONES)
    assert require_products(halpha=image, anchored=image) == get_grid(image)
    with pytest.raises(GridError, match="halpha and anchored on one pixel grid"):
        require_products(halpha=image, anchored=image[:, 1:])
    with pytest.raises(InputError, match=r"^anchored should have units"):
        require_products(halpha=image, anchored=image.assign_attrs(units=COUNTS))
