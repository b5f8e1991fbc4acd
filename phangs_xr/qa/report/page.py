"""The report as one HTML page: no text of a file or a configuration reaches it unescaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from bokeh.core.validation.warnings import FIXED_SIZING_MODE
from bokeh.document import Document
from bokeh.embed import components
from bokeh.resources import Resources
from holoviews.plotting.bokeh.util import silence_warnings

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 1320px; margin: 0 auto; padding: 1rem 1.5rem 3rem; }
h1 { font-size: 1.6rem; margin: .5rem 0 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .3rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { max-width: 60rem; margin: .4rem 0 .8rem; }
nav a { margin-right: 1rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
thead th { border-bottom: 1px solid #999; }
td.number { text-align: right; white-space: nowrap; }
td.text { overflow-wrap: break-word; max-width: 40rem; }
.warning { background: #fff1e0; border-left: 5px solid #d55e00; padding: .5rem .8rem;
           margin: .6rem 0; max-width: 60rem; }
.note { color: #666; }
.figure { overflow-x: auto; }
footer { margin-top: 3rem; color: #666; font-size: .85rem; }
"""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    name
        Its anchor.
    title
        Its heading, plain text.
    text
        What it shows, plain text.
    body
        Its content, HTML made by the functions of this module.
    """

    name: str
    title: str
    text: str
    body: str


def format_page(title: str, head: str, sections: Sequence[Section], scripts: str) -> str:
    """Return the page.

    Parameters
    ----------
    title
        Plain text.
    head
        HTML between the title and the first section.
    sections
        In their order.
    scripts
        Of `format_scripts`.
    """
    links = "".join(f'<a href="#{one.name}">{escape(one.title)}</a>' for one in sections)
    parts = "".join(
        f'<section id="{one.name}"><h2>{escape(one.title)}</h2>'
        f"<p>{escape(one.text)}</p>{one.body}</section>\n"
        for one in sections
    )
    # The icon is empty: browsers would ask a server for one.
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{_STYLE}</style>\n{scripts}\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f"{head}\n<nav>{links}</nav>\n{parts}</body>\n</html>\n"
    )


def format_scripts(models: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return Bokeh's own code and that of some plots, and the place of each plot on the page.

    Parameters
    ----------
    models
        Bokeh plots by name.
    """
    if not models:
        return "", {}
    document = Document()
    # Each model added would have all be searched anew for what they refer to.
    with document.models.freeze():
        for model in models.values():
            document.add_root(model)
    # HoloViews fixes the size of the frames, not of the plots around them, which Bokeh warns of.
    with silence_warnings(FIXED_SIZING_MODE):
        script, places = components(dict(models))
    # The whole of the resources would ask for files of Panel, which HoloViews imports.
    code = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    return f"<script>\n{code}\n</script>\n{script}", dict(places)


def format_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: bool = False
) -> str:
    """Return a table of plain text; all but the first column are aligned right for numbers."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{"number" if numbers and index else "text"}">{escape(str(cell))}</td>'
            for index, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def format_warning(text: str) -> str:
    """Return a warning of plain text."""
    return f'<div class="warning" role="alert">{escape(text)}</div>'


def format_note(text: str) -> str:
    """Return a remark of plain text."""
    return f'<p class="note">{escape(text)}</p>'


def format_plot(place: str) -> str:
    """Return the place of a plot."""
    return f'<div class="figure">{place}</div>'
