"""From configuration to written products: the only room, with `qa`, that computes and writes.

From the bottom: `runner` says where tasks run and `tiles` cuts images for them; `config` reads a
configuration, `inputs` opens and checks its files; `dependencies`, `plan` and `stages` say, as
data, what will be done; `field` holds all this together; `run_stage` takes steps window by window,
and `run` does it all. It knows recipes only by what they declare, and names no step.
"""
