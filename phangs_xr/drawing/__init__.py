"""How pixels and numbers are shown: stretch, colours, block means, units and numbers in words.

Plain arrays and text; it knows neither the sky nor any library that draws, so `.sky.plot` and the
figures of `qa` show one image alike.
"""
