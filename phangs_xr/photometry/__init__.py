"""What light does on the way: filter curves, the photometry of headers, units and labels of images.

Knows where pixels lie and what products are called; nothing of files, dask or other steps.
"""
