"""Photographs Slack's cards in Chromium, as a phone shows them.

`python -m tests.e2e.slack_pictures` writes docs/pictures anew: the messages as JSON, and a PNG of each. Reduced to 48
colours, with pngquant for one, a PNG has a third of its size.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selenium.webdriver.chrome.webdriver import WebDriver

from tests.e2e.chromium import browse
from tests.integrations.slack.phone import WIDTH, page
from tests.integrations.slack.pictures import MESSAGES, PICTURES, pictures
from tests.notifications.payload import NIGHT

NAMES = {"U1": "Ana Lima"}
_SHARPNESS = 2  #: pixels of the picture for each of the page


def show(browser: WebDriver, message: Mapping[str, Any], folder: Path) -> None:
    """Open the page with that message, at its whole height."""
    written = folder / "card.html"
    written.write_text(page(message, NAMES, NIGHT))
    _size(browser, 800)
    browser.get(written.as_uri())
    _size(browser, int(str(browser.execute_script("return document.body.scrollHeight"))))


def photograph(browser: WebDriver) -> bytes:
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    return base64.b64decode(str(shot["data"]))


def _size(browser: WebDriver, height: int) -> None:
    size = {"width": WIDTH, "height": height, "deviceScaleFactor": _SHARPNESS, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    MESSAGES.write_text(json.dumps(pictures(), ensure_ascii=False, indent=1) + "\n")
    with tempfile.TemporaryDirectory() as place, browse(Path(place) / "profile", width=WIDTH) as browser:
        for name, message in pictures().items():
            show(browser, message, Path(place))
            (PICTURES / f"slack-{name}.png").write_bytes(photograph(browser))


if __name__ == "__main__":
    main()
