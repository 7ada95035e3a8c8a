"""Make docs/images/: the report of the README's example sweep, on a wide and a narrow screen.

`python docs/screenshots.py` needs the extra `test`, chromium and chromedriver.
"""

import base64
import os
import shutil
import tempfile
import time
from pathlib import Path

from selenium import webdriver

from runner.cli import main

IMAGES = Path(__file__).resolve().parent / "images"
SWEEP = (
    "-m task=training dataset=digits network.hidden=[50],[100] optimizer.params.lr=0.1,0.01 "
    "sweep.replicates=5 sweep.name=sizes"
)
SCREENS = {"report_wide": (1100, 1180), "report_narrow": (390, 1180)}
OPTIONS = "--headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars"


def screenshot(page: Path, width: int, height: int) -> bytes:
    """Return what a screen of a size in pixels shows of a report."""
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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main(SWEEP.split())
        main(["report", "outputs/sweeps/sizes", "-o", "report.html"])
        IMAGES.mkdir(exist_ok=True)
        for name, screen in SCREENS.items():
            content = screenshot(Path(folder, "report.html"), *screen)
            (IMAGES / f"{name}.png").write_bytes(content)
        os.chdir(IMAGES)
