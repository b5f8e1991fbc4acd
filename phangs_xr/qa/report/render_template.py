"""Pages from templates: every text is escaped that is not said to be safe."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_template(name: str, **values: Any) -> str:
    """Return a page; a value that the template asks for and that is not given is an error.

    `name` is that of a file beside this one.
    """
    environment = Environment(
        loader=PackageLoader("phangs_xr.qa", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(**values)
