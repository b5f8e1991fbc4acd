"""Files and stores: FITS, Zarr, tables."""
