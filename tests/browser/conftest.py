"""One headless Chromium for all tests of pages, and the pages themselves, as files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rawlab.api import load
from rawlab.attribution.telling import tell
from rawlab.model.story import Story
from rawlab.views import page
from rawlab.views.page import exam
from rawlab.wire.decode import decode
from tests.attribution.ladder import read
from tests.attribution.ladders import OPEN
from tests.views.noted import noted
from tests.views.stories import hostile

CAPTURES = Path(__file__).parents[2] / "captures"
PATIENCE = 60
"seconds: no wait is longer, and none is meant to end by it"
HOSTILE = "</script></style></title><img src=x onerror=alert(1)><script>alert(2)</script>\u2028'\"`"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, those that share the browser stay in one process."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("browser"))


class Browser:
    """The browser as the tests speak to it."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver, self.folder = driver, folder

    def open(self, name: str, address: str = "") -> None:
        """A page of the folder, anew."""
        self.driver.get("about:blank")
        self.driver.get(f"{(self.folder / name).as_uri()}{address}")

    def js(self, script: str, *arguments: Any) -> Any:
        """What the script returns."""
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, *arguments: Any) -> Any:
        """Waits until the script returns something."""
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.driver, PATIENCE, 0.05)
        return wait.until(lambda _: self.js(script, *arguments), f"never came: {script}")

    def one(self, selector: str) -> Any:
        """The element."""
        return self.driver.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        """As with a mouse."""
        self.one(selector).click()

    def text(self, selector: str) -> str:
        """What is to be read there."""
        return str(self.one(selector).text)

    def press(self, *keys: str) -> None:
        """On the keyboard, to whatever has the focus."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def point(self, selector: str) -> None:
        """The mouse goes there."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=0).move_to_element(self.one(selector)).perform()

    def look(self, *, width: int = 1280, height: int = 720, scheme: str = "light", media: str = "screen") -> None:
        """The size of the window, light or dark, on a screen or on paper."""
        phone = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def choose(self, control: str, value: str) -> None:
        """In one of the page's selections."""
        self.js(
            "const it = document.getElementById(arguments[0]); it.value = arguments[1];"
            "it.dispatchEvent(new Event('input'))",
            control,
            value,
        )

    def field(self, name: str, act: str) -> None:
        """Does that with the first of a packet's fields whose name begins so."""
        self.js(
            "[...document.querySelectorAll('.field')].find((it) => it.textContent.startsWith(arguments[0]))"
            "[arguments[1]]()",
            name,
            act,
        )

    def contents(self) -> list[int]:
        """How many scripts, images and style sheets the page has."""
        kinds = ("scripts", "images", "styleSheets")
        return [int(self.js("return document[arguments[0]].length", kind)) for kind in kinds]

    def requests(self) -> list[str]:
        """What was asked for since the last time, but for files of ours, by its address."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = (it["params"]["request"]["url"] for it in messages if it["method"] == "Network.requestWillBeSent")
        mine = {path.name for path in self.folder.glob("*.html")}
        return [url for url in sent if not (url.startswith("file:") and Path(urlsplit(url).path).name in mine)]

    def complaints(self) -> list[str]:
        """What the console says since the last time."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages: an echo over TCP and over SCTP, a hostile one, a long one, and a quiz."""
    made = tmp_path_factory.mktemp("pages")
    tcp = load(CAPTURES / "tcp-echo.pcapng")
    pages = {
        "tcp.html": page.render(tcp),
        "sctp.html": page.render(load(CAPTURES / "sctp-echo.pcapng")),
        "both.html": page.render(load(CAPTURES / "sctp-streams.pcapng")),
        "reset.html": page.render(load(CAPTURES / "tcp-reset.pcapng")),
        "filtered.html": page.render(load(CAPTURES / "tcp-filtered.pcapng")),
        "noted.html": page.render(noted("look at the SYN", "a socket\nof two lines")),
        "udp.html": page.render(load(CAPTURES / "udp-echo.pcapng")),
        "hostile.html": page.render(hostile(HOSTILE)),
        "long.html": page.render(_long()),
        "quiz.html": exam.render(tcp, ("seq", "ack", "state", "cause"), 7),
        "hostile-quiz.html": exam.render(hostile(HOSTILE), ("seq", "ack", "state", "cause"), 7),
    }
    for name, text in pages.items():
        (made / name).write_text(text)
    return made


def _long() -> Story:
    """Two thousand rows: five hundred writes that are acknowledged."""
    lines, at = [OPEN], 500
    for number in range(500):
        call, packet, seq = 7 + number, 4 + 2 * number, 1 + 5 * number
        lines += [
            f'c{call}  client {at}-{at + 40}  write(3, "hello", 5) = 5',
            f'p{packet}  client> {at + 10} [P.] seq {seq}:{seq + 5}, ack 1 "hello"',
            f"p{packet + 1}  server> {at + 35}- [.] ack {seq + 5}",
        ]
        at += 60
    return tell(read("\n".join(lines)), decode)


@pytest.fixture(scope="session")
def session(folder: Path) -> Iterator[Browser]:
    """Debian's Chromium, started once; skips, with the reason, where it or what drives it is not there."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    found = {tool: shutil.which(tool) for tool in ("chromium", "chromedriver")}
    if missing := [tool for tool, path in found.items() if path is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    options = webdriver.ChromeOptions()
    options.binary_location = found["chromium"]
    words = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    words += ["--disable-background-networking", "--no-first-run", *([] if os.geteuid() else ["--no-sandbox"])]
    for word in words:
        options.add_argument(word)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(found["chromedriver"])
    try:
        driver = webdriver.Chrome(options=options, service=service)
    except Exception as error:
        pytest.skip(f"Chromium can't be started here: {str(error).splitlines()[0]}")
    driver.set_script_timeout(PATIENCE)
    try:
        yield Browser(driver, folder)
    finally:
        driver.quit()


@pytest.fixture
def browser(session: Browser) -> Iterator[Browser]:
    """A calm, light window; afterwards, the console is silent and nothing was asked of anyone."""
    session.look()
    session.complaints()
    session.requests()
    yield session
    assert session.complaints() == []
    assert session.requests() == []


@pytest.fixture
def opened(browser: Browser) -> Callable[[str], Browser]:
    """The browser, on a page: `opened("tcp.html#step=3")`."""

    def go(address: str) -> Browser:
        name, mark, rest = address.partition("#")
        browser.open(name, mark + rest)
        return browser

    return go
