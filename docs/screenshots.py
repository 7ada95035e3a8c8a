"""Make docs/images/: the terminal after the main job, and the report of an example sweep.

`python docs/screenshots.py` needs the extra `test`, chromium and chromedriver; with `terminal`
after it, it makes that picture alone and needs neither.
"""

import base64
import io
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from rich.console import Console

from runner.cli import main

IMAGES = Path(__file__).resolve().parent / "images"
SWEEP = (
    "-m task=training dataset=digits network.hidden=[50],[100] optimizer.params.lr=0.1,0.01 "
    "sweep.replicates=5 sweep.name=sizes"
)
SCREENS = {"report_wide": (1100, 1180), "report_narrow": (390, 1180)}
FETCHED = re.compile(r"@font-face \{.*?\}\s*", re.S)  # fonts from elsewhere: not here
OPTIONS = "--headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars"


def screenshot(page: Path, width: int, height: int) -> bytes:
    """Return what a screen of a size in pixels shows of a report."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for option in OPTIONS.split():
        options.add_argument(option)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as driver:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(page.as_uri())
        while driver.execute_script("return document.documentElement.dataset.ready") != "true":
            time.sleep(0.1)
        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {})
        return base64.b64decode(shot["data"])


def terminal() -> str:
    """Return what `make run` shows, as a picture."""
    console = Console(file=io.StringIO(), width=76, record=True)
    console.print("$ make run", highlight=False)
    with mock.patch("runner.report.terminal.terminal", return_value=console):
        main([])
    console.print()  # room for the underline in the last line
    return FETCHED.sub("", console.export_svg(title="runner"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main([])  # the second run finds the program and the images in memory
        (IMAGES / "terminal.svg").write_text(terminal(), encoding="utf-8")
        if sys.argv[1:] == ["terminal"]:
            os.chdir(IMAGES)
            sys.exit()
        main(SWEEP.split())
        main(["report", "outputs/sweeps/sizes", "-o", "report.html"])
        IMAGES.mkdir(exist_ok=True)
        for name, screen in SCREENS.items():
            content = screenshot(Path(folder, "report.html"), *screen)
            (IMAGES / f"{name}.png").write_bytes(content)
        os.chdir(IMAGES)
