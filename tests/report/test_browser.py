"""The report as a reader meets it: in Chromium, without a network."""

import json
import shutil
import time

import pytest

from runner.cli import main

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)"
)
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)
SECONDS = 60  # a page may take where many tests run at once


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.execute_cdp_cmd("Network.enable", {})
    offline = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0, "offline": True}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    look(chromium)
    chromium.get("about:blank")
    for kind in ("browser", "performance"):
        chromium.get_log(kind)  # what was before
    return chromium


def look(driver, width=1200, height=900, scheme="light", media=""):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def visit(driver, path):
    """Open a report, and wait until it has drawn everything."""
    driver.get(path.as_uri())
    end = time.monotonic() + SECONDS
    while driver.execute_script("return document.documentElement.dataset.ready") != "true":
        assert time.monotonic() < end, driver.get_log("browser")
        time.sleep(0.05)


def all_of(driver, selector):
    return driver.find_elements("css selector", selector)


@pytest.fixture(scope="module")
def reports(made, hostile, thousand, single, tmp_path_factory):
    """Reports by name."""
    folder = tmp_path_factory.mktemp("reports")
    sweeps = made / "outputs/sweeps"
    sources = {
        "sweep": [sweeps / "sizes"],
        "several": [sweeps / "sizes", sweeps / "sigmoid"],
        "hostile": [hostile],
        "thousand": [thousand],
        **{name: [single(name)] for name in ("training", "inference", "descent", "functions")},
    }
    for name, paths in sources.items():
        assert main(["report", *map(str, paths), "-o", str(folder / f"{name}.html")]) == 0
    return {name: folder / f"{name}.html" for name in sources}


NAMES = ("several", "hostile", "thousand", "training", "inference", "descent", "functions")


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_offline_without_a_complaint_or_a_request(browser, reports, name):
    visit(browser, reports[name])
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert {address.partition(":")[0] for address in asked} <= {"file", "data"}
    assert len([address for address in asked if address.startswith("file:")]) == 1
    plots = all_of(browser, ".plot")
    assert len(all_of(browser, ".plot svg")) == len(plots)
    assert bool(plots) == (name not in ("descent", "functions"))
    assert all(image.get_property("naturalWidth") > 0 for image in all_of(browser, "img"))


def test_a_changed_script_is_not_run_and_is_reported(browser, reports, tmp_path):
    text = reports["functions"].read_text(encoding="utf-8")
    changed = tmp_path / "changed.html"
    changed.write_text(text.replace('"use strict";', '"use strict"; '), encoding="utf-8")
    browser.get(changed.as_uri())
    assert browser.execute_script("return document.documentElement.dataset.ready") is None
    (entry,) = browser.get_log("browser")
    assert "Content Security Policy" in entry["message"]


def test_names_run_nothing(browser, reports, markup):
    visit(browser, reports["hostile"])
    assert browser.title.startswith("Report of ")
    assert "<script>alert(1)<" in browser.title
    assert markup in browser.execute_script("return document.body.innerText")
    labels = browser.execute_script(
        "return [...document.querySelectorAll('.plot svg text')].map((one) => one.textContent)"
    )
    assert any("</script>" in label for label in labels)
    points = all_of(browser, ".plot .mark-symbol.role-mark path")
    scripts = len(all_of(browser, "script"))
    tips = [shown_over(browser, point) for point in points[:4]]
    assert any(markup in tip for tip in tips)
    assert len(all_of(browser, "script")) == scripts
    assert browser.title.startswith("Report of ")
    assert browser.get_log("browser") == []


def shown_over(driver, point):
    """Return what is shown where the pointer is over a mark."""
    from selenium.webdriver import ActionChains

    ActionChains(driver).move_to_element(point).perform()
    return driver.find_element("id", "vg-tooltip-element").text


def column(driver, table, place):
    """Return the texts of a column as they are shown."""
    script = "return [...arguments[0].tBodies[0].rows].filter((row) => !row.hidden)"
    return driver.execute_script(
        f"{script}.map((row) => row.cells[arguments[1]].textContent)", table, place
    )


def runs(driver):
    """Return the table of runs, its block, and its heads."""
    (caption,) = (one for one in all_of(driver, "caption") if "runs; a conf" in one.text)
    table = caption.find_element("xpath", "..")
    heads = [head.text.strip() for head in table.find_elements("css selector", "thead th")]
    block = table.find_element("xpath", "ancestor::div[contains(@class, 'tools')]")
    return table, block, heads


def test_tables_sort_by_mouse_and_keyboard(browser, reports):
    from selenium.webdriver.common.keys import Keys

    visit(browser, reports["sweep"])
    table, _, heads = runs(browser)
    place = heads.index("accuracy")
    button = table.find_elements("css selector", "thead button")[place]
    head = button.find_element("xpath", "..")
    before = column(browser, table, place)
    assert head.get_attribute("aria-sort") == "none"
    button.send_keys(Keys.ENTER)
    assert column(browser, table, place) == sorted(before, key=float)
    assert head.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.SPACE)
    assert column(browser, table, place) == sorted(before, key=float, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    named = heads.index("network.hidden")
    table.find_elements("css selector", "thead button")[named].click()
    assert column(browser, table, named) == ["[50]"] * 6 + ["[100]"] * 6  # not by the alphabet
    assert head.get_attribute("aria-sort") == "none"


def test_tables_filter_by_words_and_by_column(browser, reports):
    from selenium.webdriver.common.keys import Keys

    visit(browser, reports["sweep"])
    table, block, heads = runs(browser)
    field = block.find_element("css selector", "input")
    count = block.find_element("css selector", "[role=status]")
    assert count.text == "12 of 12 rows"
    cases = (
        ("[100]", "network.hidden", lambda value: value == "[100]"),
        ("seed<2", "seed", lambda value: int(value) < 2),
        ("optimizer.params.lr=0.1 completed", "optimizer.params.lr", lambda v: v == "0.1"),
        ("accuracy>0.5", "accuracy", lambda value: float(value) > 0.5),
        ("seed>=1", "seed", lambda value: int(value) >= 1),
        ("seed<=1", "seed", lambda value: int(value) <= 1),
        ("no such word", "accuracy", lambda value: False),
    )
    rows = {name: column(browser, table, heads.index(name)) for name in heads}
    for text, name, holds in cases:
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text)
        shown = column(browser, table, heads.index(name))
        assert shown == [value for value in rows[name] if holds(value)]
        assert count.text == f"{len(shown)} of 12 rows"
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("network.hidden=[50] seed<2 optimizer.params.lr=0.1")
    assert column(browser, table, heads.index("network.hidden")) == ["[50]"] * 2
    assert sorted(column(browser, table, heads.index("seed"))) == ["0", "1"]


def test_a_thousand_rows_sort_and_filter(browser, reports):
    visit(browser, reports["thousand"])
    table, block, heads = runs(browser)
    place = heads.index("optimizer.params.lr")
    table.find_elements("css selector", "thead button")[place].click()
    values = [float(value) for value in column(browser, table, place)]
    assert values == sorted(values)
    field = block.find_element("css selector", "input")
    browser.execute_script("arguments[0].value = 'optimizer.params.lr<0.'", field)
    field.send_keys("1")  # each key looks at every row
    assert block.find_element("css selector", "[role=status]").text == "200 of 1,000 rows"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "thousand"])
def test_a_phone_scrolls_in_one_direction_only(browser, reports, name):
    look(browser, 390, 800)
    visit(browser, reports[name])
    for width in (390, 320):  # a phone that is turned does not open the page anew
        look(browser, width, 800)
        beyond = browser.execute_script(
            "return [...document.querySelectorAll('body *')].filter((one) => "
            "!one.closest('.scroll') && one.getBoundingClientRect().right > arguments[0])"
            ".map((one) => one.outerHTML)",
            width,
        )
        assert beyond == []
        assert browser.execute_script("return document.documentElement.scrollWidth") == width


def test_dark_light_and_paper(browser, reports):
    def seen():
        return browser.execute_script(
            "const of = (place, name) => getComputedStyle(document.querySelector(place))[name];"
            "return [of('body', 'backgroundColor'), of('body', 'color'),"
            " of('.plot svg .role-axis-label text', 'fill'), of('nav', 'display')]"
        )

    visit(browser, reports["sweep"])
    assert seen() == ["rgb(246, 247, 249)", "rgb(27, 31, 36)", "rgb(87, 96, 106)", "block"]
    look(browser, scheme="dark")
    assert seen() == ["rgb(15, 19, 24)", "rgb(230, 234, 238)", "rgb(154, 166, 178)", "block"]
    look(browser, scheme="dark", media="print")
    assert seen() == ["rgb(255, 255, 255)", "rgb(0, 0, 0)", "rgb(68, 68, 68)", "none"]


def test_paper_cuts_no_number_in_two_and_no_table_off(browser, reports):
    look(browser, width=720, media="print")  # A4 without its margins
    visit(browser, reports["sweep"])
    lines = browser.execute_script(
        "const range = document.createRange();"
        "return [...document.querySelectorAll('tbody .n')].filter((one) => one.textContent)"
        ".map((one) => { range.selectNodeContents(one); return range.getClientRects().length; })"
    )
    assert set(lines) == {1}
    assert browser.execute_script("return document.documentElement.scrollWidth") == 720


def test_a_screen_reader_is_told_everything(browser, reports):
    visit(browser, reports["sweep"])
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    nodes = [node for node in tree if not node["ignored"]]
    role = {}
    for node in nodes:
        named = node.get("name", {}).get("value", "")
        role.setdefault(node["role"]["value"], []).append(named)
    for needs_name in ("table", "image", "figure", "region", "link", "button", "searchbox"):
        assert all(role[needs_name]), needs_name
    tables = len(all_of(browser, "table"))
    assert len(role["table"]) == tables
    assert len(all_of(browser, "table > caption")) == tables
    assert "accuracy" in role["columnheader"]
    assert len(role["main"]) == len(role["banner"]) == len(role["navigation"]) == 1
    for plot in all_of(browser, ".plot svg"):
        assert plot.find_element("xpath", "..").get_attribute("aria-label") or plot.accessible_name


def test_the_first_stop_of_the_keyboard_skips_to_the_results(browser, reports):
    from selenium.webdriver.common.keys import Keys

    visit(browser, reports["inference"])
    browser.find_element("css selector", "body").send_keys(Keys.TAB)
    link = browser.switch_to.active_element
    assert link.text == "Skip to the results"
    assert link.location["x"] >= 0
    link.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "main"
