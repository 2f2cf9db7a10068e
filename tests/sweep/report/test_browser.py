"""A real browser without a window, driven over a pipe by the DevTools protocol."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phoneme_lightning.inference.confusion_file import Confusion
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.report.page import Extras, page

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe", "about:blank"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # offline
)


class Chromium:
    """A browser with one tab.

    Args:
        profile: an empty folder.
    """

    def __init__(self, profile: Path) -> None:
        assert PROGRAM is not None
        theirs, self._send = os.pipe()
        self._receive, answers = os.pipe()

        def connect() -> None:
            # Copied away first, since either may be 3 or 4 itself.
            ends = [os.dup(theirs), os.dup(answers)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._process = subprocess.Popen(
            [PROGRAM, f"--user-data-dir={profile}", *OPTIONS],
            preexec_fn=connect,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(answers)
        self._numbers, self._buffer = itertools.count(1), b""
        self._session: str | None = None
        self.complaints: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        tab = next(target for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=tab["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._send)
        os.close(self._receive)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and wait for its answer; what the page complains of is kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def _next(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._receive], [], [], seconds)[0], "the browser is silent"
            more = os.read(self._receive, 1 << 20)
            assert more, "the browser has died"
            self._buffer += more
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, told = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.complaints.append(str(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = told["request"]["url"]
            if not url.startswith(("file:", "data:", "about:", "blob:")):
                self.complaints.append(f"asked the network for {url}")

    def open(self, page: Path, width: int, height: int = 900, mobile: bool = False) -> None:
        """Open a file in a window of a size, and wait until all of it is drawn."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)
        self.call("Page.navigate", url=page.resolve().as_uri())
        end = time.monotonic() + 60
        while not self.ask(
            "document.readyState == 'complete' && document.documentElement.dataset.drawn"
        ):
            assert time.monotonic() < end, f"not drawn: {self.complaints}"
            time.sleep(0.05)
        self.call(
            "Runtime.evaluate",
            awaitPromise=True,
            expression="new Promise(f => requestAnimationFrame(() => setTimeout(f, 50)))",
        )

    def ask(self, expression: str) -> Any:
        """Evaluate JavaScript and give its value."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Take a picture of the whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def print(self, path: Path) -> None:
        """Print the page to a PDF."""
        paper = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        path.write_bytes(base64.b64decode(paper["data"]))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if PROGRAM is None:
        pytest.skip("there is no Chromium here: apt install chromium")
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture
def written(evidence, tmp_path) -> Path:
    rng = np.random.default_rng(0)
    confusion = Confusion(rng.integers(0, 9, (41, 41)) + np.diag(rng.integers(50, 900, 41)))
    path = tmp_path / "report.html"
    findings = [
        Finding(
            "length", "warn", "They <b>still</b> improve.", {"share": 1.0}, "best_step", "do it"
        )
    ]
    path.write_text(
        page(replace(evidence, confusion=confusion), findings, Extras()),
        encoding="utf-8",
    )
    return path


# Elements that stick out sideways, but for those inside what scrolls by itself.
OVERFLOWING = """
    [...document.querySelectorAll("main *")]
        .filter(e => !e.closest(".wide, .scroll") && e.getBoundingClientRect().right > innerWidth)
        .map(e => e.tagName + "." + e.className)
"""

# Of each plot: its name, and how many marks of any kind it holds.
MARKS = """
    Object.fromEntries([...document.querySelectorAll("figure")].map(figure => [
        figure.id,
        figure.querySelectorAll(".point, .js-line, .bars path, .heatmaplayer image").length,
    ]))
"""


@pytest.mark.parametrize(("width", "mobile"), [(390, True), (1440, False)])
def test_the_page_is_whole_in_a_browser(browser, written, width, mobile):
    browser.complaints.clear()
    browser.open(written, width, mobile=mobile)
    assert browser.complaints == []
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask(OVERFLOWING) == []
    marks = browser.ask(MARKS)
    assert marks.keys() >= {
        *("figure-isolation", "figure-curves", "figure-losses", "figure-best-step"),
        *("figure-gradients", "figure-budget", "figure-parallel", "figure-confusion"),
        "figure-importance",
        *("figure-axis-model-optimizer-init-args-lr", "figure-axis-model-dropout"),
    }
    assert all(marks.values()), marks


def test_a_complaint_is_heard_and_an_overflow_seen(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!doctype html><html data-drawn=1><main><p style='width: 5000px'>wide</p></main>"
        "<script>console.error('no')</script><script>nothing.there</script>"
        "<script src='https://example.org/x.js'></script>"
    )
    browser.complaints.clear()
    browser.open(bad, 390)
    assert any("'no'" in complaint for complaint in browser.complaints)
    assert any("nothing is not defined" in complaint for complaint in browser.complaints)
    assert any("example.org" in complaint for complaint in browser.complaints)
    assert browser.ask(OVERFLOWING) == ["P."]
    browser.complaints.clear()


def test_it_prints(browser, written, tmp_path):
    browser.complaints.clear()
    browser.open(written, 1440)
    paper = tmp_path / "report.pdf"
    browser.print(paper)
    pages = paper.read_bytes().count(b"/Type /Page\n")
    assert 4 <= pages <= 20
    assert browser.complaints == []
