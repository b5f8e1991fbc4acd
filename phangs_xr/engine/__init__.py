"""From configuration to written products: the only room, with `qa`, that computes and writes.

In order: `config` reads a configuration, `inputs` opens and checks its files, `plan` says what will
be done, `field` holds the three together, `stage` and `tiles` take steps window by window, `runner`
says where, and `run` does it all.
"""
