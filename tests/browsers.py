"""A page in a real browser that has no network: what it says, asks for, and how wide it is."""

from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 600_000
"""For a machine under any load [ms]."""
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
WIDTHS = (1400, 390)
"""Of a window and of a telephone [pixel]."""


def require_clean_page(path):
    """Check that a page opens without error and request, at both widths, and that its maps hover.

    Nothing is checked where there is no Chromium or no playwright.
    """
    if not CHROMIUM.exists():
        return
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    said, asked = [], []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        page = browser.new_context(offline=True).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(path.as_uri())
            page.wait_for_function("window.Bokeh && Bokeh.documents.every((one) => one.is_idle)")
            found = page.evaluate("document.documentElement.scrollWidth")
            assert found <= width, f"{path.name} is {found} pixels wide on {width}"
        browser.close()
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}
