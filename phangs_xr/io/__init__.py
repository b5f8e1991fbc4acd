"""Files and stores: FITS, Zarr, tables; no step knows them.

May use the vocabulary, the sky, units and `numerics.lazy`.
"""
