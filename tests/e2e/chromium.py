"""Debian's Chromium without a window, which calls nobody: no updates, no sync, a profile of its own."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

_BROWSER, _DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
_QUIETLY = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--no-proxy-server",
    # Chromium asks its maker about fields, passwords and hints unless told not to; here no name but loopback resolves.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def why_not() -> str:
    """What is missing, "" when nothing is."""
    missing = [path.name for path in (_BROWSER, _DRIVER) if not path.exists()]
    return f"not installed: {', '.join(missing)} (Debian packages chromium and chromium-driver)" if missing else ""


@contextmanager
def browse(profile: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> Iterator[WebDriver]:
    """A browser of that size; `dark` is what the page is told of the person's taste."""
    logging.getLogger("selenium").setLevel(logging.WARNING)
    options = Options()
    options.binary_location = str(_BROWSER)
    for argument in (*_QUIETLY, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(str(_DRIVER)))
    try:
        taste = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": taste})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield browser
    finally:
        browser.quit()
        shutil.rmtree(profile, ignore_errors=True)
