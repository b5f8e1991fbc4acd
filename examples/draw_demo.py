"""Draw the README's picture: `python examples/draw_demo.py out/ picture.png` after a demo."""

import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import phangs_xr

mpl.use("Agg")

FACTOR = 3
SIDE = 360
"""Pixels along each side of the cut-outs."""


def shrink(image: xr.DataArray) -> np.ndarray:
    """Return an image at a third of its resolution, as means of blocks."""
    return image.coarsen(y=FACTOR, x=FACTOR, boundary="trim").mean().values


def find_bright_window(image: xr.DataArray) -> dict[str, slice]:
    """Return the window with the most flux, among those that do not overlap."""
    total = image.coarsen(y=SIDE, x=SIDE, boundary="trim").sum().values
    row, column = np.unravel_index(np.argmax(total), total.shape)
    return {
        "y": slice(row * SIDE, (row + 1) * SIDE),
        "x": slice(column * SIDE, (column + 1) * SIDE),
    }


def show(axes: Axes, image: np.ndarray, title: str, high: float) -> None:
    """Show an image on an asinh scale, without a frame."""
    axes.imshow(np.arcsinh(image / high * 10), origin="lower", cmap="inferno", vmin=0, vmax=3)
    axes.set_title(title, fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])


def main(out: Path, picture: Path) -> None:
    """Draw HST's narrow band, MUSE, the joint map, and nebula fluxes with their errors."""
    store = next(out.glob("*/*/*.zarr"))
    field = phangs_xr.open_store(store)
    hst, nebulae = field["hst"].dataset, field["nebulae"].dataset
    figure, panels = plt.subplots(1, 4, figsize=(17, 4.5), layout="constrained")
    narrow = shrink(hst.narrow)
    show(panels[0], narrow - np.nanpercentile(narrow, 5), "HST narrow band", 0.6)
    window = find_bright_window(hst.halpha_joint.where(hst.muse_coverage > 0.99))
    corner = [window[name].start / FACTOR for name in ("x", "y")]
    side = SIDE / FACTOR
    panels[0].add_patch(plt.Rectangle(corner, side, side, fill=False, color="white"))
    muse = phangs_xr.regrid_muse(field["muse"].dataset.musehalpha, hst.narrow.isel(window))
    show(panels[1], muse.musehalpha_regrid.values, "MUSE Hα, in the square", 400)
    show(panels[2], hst.halpha_joint.isel(window).values, "HST and MUSE, joint", 400)
    for product, colour, label in (
        ("halpha_hst", "#999999", "HST alone"),
        ("halpha_joint", "#0072b2", "joint"),
    ):
        flux, error = nebulae[f"flux_{product}"], nebulae[f"flux_{product}_err"]
        style = {"fmt": ".", "ms": 4, "lw": 0.6, "color": colour, "label": label}
        panels[3].errorbar(nebulae.flux_muse, flux, error, **style)
    panels[3].set(xscale="log", yscale="log")
    limits = np.nanpercentile(nebulae.flux_muse, [1, 100])
    panels[3].plot(limits, limits, "k-", lw=0.8, label="equal")
    panels[3].set_ylim(limits[0] / 3, limits[1] * 2)
    panels[3].set_xlabel("MUSE nebula flux [10⁻²⁰ erg s⁻¹ cm⁻²]")
    panels[3].set_ylabel("HST nebula flux [10⁻²⁰ erg s⁻¹ cm⁻²]")
    panels[3].legend(frameon=False, fontsize=9)
    panels[3].set_title("nebula by nebula", fontsize=11)
    figure.savefig(picture, dpi=80)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
