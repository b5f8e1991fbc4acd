"""Make the package's table of filter curves: `python -m tests.photometry.pack_curves DIR`.

DIR holds text files of two columns, wavelength [Å] and throughput, named as their curves are to be:
`ACS_WFC_F658N.dat`.
"""

import sys
from pathlib import Path

import numpy as np

import phangs_xr
from phangs_xr.photometry.curves import thin_curve

TABLE = Path(phangs_xr.__file__).parent / "photometry" / "curves.npz"


def pack_curves(directory: Path) -> None:
    """Write `TABLE` from all curves of a directory."""
    curves = {}
    for path in sorted(directory.glob("*.dat")):
        wavelength, throughput = np.loadtxt(path, unpack=True)
        curves[path.stem] = np.stack(thin_curve(wavelength, throughput)).astype(np.float32)
    np.savez_compressed(TABLE, allow_pickle=False, **curves)


if __name__ == "__main__":
    pack_curves(Path(sys.argv[1]))
