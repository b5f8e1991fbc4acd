"""Configurations like others, as files, which is what the command line takes, and with changes."""

import json
from dataclasses import replace

from phangs_xr.engine.config import load_config


def write_config(path, template, *, galaxy="ngc0628", without=(), **output):
    """Write the configuration of a field elsewhere, with the same inputs and another output."""
    given = load_config(template).inputs.given
    inputs = [f'{name} = "{one.path}"' for name, one in given.items() if name not in without]
    rest = [f"{name} = {json.dumps(value)}" for name, value in output.items()]
    lines = [f'galaxy = "{galaxy}"', "[inputs]", *inputs, "[output]", *rest]
    path.write_text("\n".join(lines))
    return path


def with_options(config, name, **changes):
    """Return a configuration with some options of one step changed."""
    step = next(one for one in config.steps if one.name == name)
    changed = replace(config.get_options(step), **changes)
    return replace(config, options={**config.options, name: changed})
