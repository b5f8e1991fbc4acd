"""What steps compute with, on plain arrays and over chunks: it knows pixels, not what they show.

`lazy` alone knows dask's arrays: through its functions, and no others, a kernel meets chunks.
`value_counts` and `statistics` find exact medians and the like; `reductions` says what any
measurement of a whole image must offer; `filters`, `holes`, `resampling`, `meshes` and `sources`
hold kernels that several steps share.
"""
