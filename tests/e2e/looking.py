"""What a test looks at on the board, and the screen on which it does."""

from __future__ import annotations

from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.web.web_house import wait_for


def complaints(board: WebDriver) -> list[str]:
    """What the browser found wrong since it was last asked, a breach of the content policy for one."""
    told = board.get_log("browser")  # type: ignore[no-untyped-call]  # selenium leaves this one without types
    return [one["message"] for one in told if one["level"] == "SEVERE"]


def text(board: WebDriver, selector: str) -> str:
    """What can be read there now, "" when it is not there; asked in one step, because the page moves."""
    script = "return document.querySelector(arguments[0])?.innerText ?? ''"
    return str(board.execute_script(script, selector))


def texts(board: WebDriver, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
    return [str(one) for one in board.execute_script(script, selector)]


def find(board: WebDriver, selector: str) -> WebElement:
    return wait_for(lambda: board.find_elements(By.CSS_SELECTOR, selector))[0]


def press(board: WebDriver, selector: str) -> None:
    """Click it in the middle of the screen: at its lower edge a phone has the console."""
    board.execute_script("arguments[0].scrollIntoView({block: 'center'})", find(board, selector))
    find(board, selector).click()


def card(number: int) -> str:
    return f"article[data-id='{number}']"


def resize(board: WebDriver, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    board.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def widest(board: WebDriver, width: int) -> int:
    """How wide the page is on a screen of that width."""
    resize(board, width, 700)
    found = int(board.execute_script("return document.documentElement.scrollWidth"))
    resize(board, 1280, 900)
    return found


def parts_beside_the_screen(board: WebDriver, selector: str) -> list[str]:
    """Those of them that are cut by the left or right edge of the screen, or cut short by their own box."""
    script = """
      return [...document.querySelectorAll(arguments[0])].filter((one) => {
        const box = one.getBoundingClientRect();
        const cut = one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1;
        const boxed = getComputedStyle(one).display !== "inline";
        return box.width === 0 || box.left < 0 || box.right > innerWidth || (boxed && cut);
      }).map((one) => one.innerText)
    """
    return [str(one) for one in board.execute_script(script, selector)]
