"""The figures of all chapters in a real JupyterLab, with a real kernel and no network."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from helpers.built import alike, makers

pytestmark = [pytest.mark.browser, pytest.mark.deep]

FIGURES = list(makers())  # quadratic_cost.flops.attention_share, …
LAB = "from attention_limits.chapters.quadratic_cost.lab import time_it\ntime_it()"
KERNEL = "shell.currentWidget?.sessionContext?.session?.kernel?"
LIMIT = 300_000  # milliseconds for whatever is waited for: only faults take so long


def cell(name):
    """What shows a figure."""
    module, function = f"attention_limits.chapters.{name}".rsplit(".", 1)
    chapter, _, page = module.removeprefix("attention_limits.chapters.").partition(".")
    place = f"attention_limits.chapters.{chapter}.explorables{'.' * bool(page)}{page}"
    return f"from {place} import {function}\n{function}()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where there is a notebook of all figures, the first of them twice, and a lab."""
    folder = tmp_path_factory.mktemp("notebooks")
    sources = [*map(cell, (FIGURES[0], *FIGURES)), LAB]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}  # or one is asked for
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, folder / "figures.ipynb")
    return folder


@pytest.fixture(scope="module")
def lab(folder, tmp_path_factory):
    """The address of a JupyterLab of the installed version, with nobody's settings."""
    own = tmp_path_factory.mktemp("jupyter")
    places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = {**os.environ, **{f"JUPYTER_{place}": str(own / place) for place in places}}
    for place in ("SETTINGS_DIR", "WORKSPACES_DIR"):
        environment[f"JUPYTERLAB_{place}"] = str(own / place)
    news = own / "SETTINGS_DIR/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    options = {
        "ServerApp.root_dir": folder,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": 0,
        "IdentityProvider.token": "",
        "LabApp.expose_app_in_browser": True,
        "LabApp.extension_manager": "readonly",
    }
    command = [sys.executable, "-m", "jupyterlab", *(f"--{k}={v}" for k, v in options.items())]
    with (own / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield wait_for(own / "RUNTIME_DIR", server, own / "log")
        finally:
            server.terminate()
            server.wait()


def wait_for(runtime: Path, server: subprocess.Popen, log: Path) -> str:
    while server.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            if text := path.read_text():
                return json.loads(text)["url"]
        time.sleep(0.1)
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def page(lab, browser):
    """The notebook of all figures, run from top to bottom."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(LIMIT)
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    show(page, lab)
    run(page, "notebook:run-all-cells")
    page.wait_for_function(
        "n => document.querySelectorAll('figure.explorable[data-ready]').length === n",
        arg=len(FIGURES) + 1,
    )
    yield page
    page.close()


def show(page, lab):
    """Open the notebook, and wait until it has its kernel."""
    page.goto(f"{lab}lab/tree/figures.ipynb?reset")
    page.wait_for_function(f"window.jupyterapp?.{KERNEL}.status === 'idle'")


def run(page, command, **arguments):
    """A command of JupyterLab's menus."""
    page.evaluate("([c, a]) => void jupyterapp.commands.execute(c, a)", [command, arguments])


@pytest.mark.parametrize("number", range(len(FIGURES)), ids=FIGURES)
def test_a_figure_draws_and_its_slider_moves(number, page):
    """Blank, or dead, in the front end for which chapters are downloaded."""
    figure = page.locator("figure.explorable").nth(number + 1)
    source = makers()[FIGURES[number]]()
    figure.scroll_into_view_if_needed()
    assert figure.locator(".explorable-view svg path").count() > 1
    assert figure.locator("figcaption").text_content() == source.caption
    slider = source.sliders[0]
    control = figure.locator(f'[data-signal="{slider.symbol.name}"]')
    stop = slider.values.index(slider.start)
    key = "ArrowRight" if stop + 1 < len(slider.values) else "ArrowLeft"
    stop += 1 if key == "ArrowRight" else -1
    control.focus()
    page.keyboard.press(key)
    figure.evaluate("f => f.explorable.view.runAsync().then(() => null)")
    assert control.input_value() == str(stop)
    setting = {**source.start, slider.symbol: slider.values[stop]}
    said = [r.text(float(r.formula(**given(r.formula, setting)))) for r in source.readouts]
    assert alike(figure.locator("[data-readout]").all_text_contents(), said)
    cells = zip(*source.table.cells(setting).values(), strict=True)
    assert alike(figure.locator("td").all_text_contents(), [one for row in cells for one in row])


def given(formula, setting):
    """What a formula needs of a setting of all sliders."""
    return {symbol.name: setting[symbol] for symbol in formula.symbols}


def test_shown_twice_it_is_two(page):
    """The first figure stands there twice, and one of them was moved above."""
    first, second = (page.locator("figure.explorable").nth(n) for n in (0, 1))
    values = [f.locator("output").first.text_content() for f in (first, second)]
    assert values[0] != values[1]


def test_a_lab_has_controls_while_a_kernel_listens(page):
    """Its controls stayed away, or stood beneath the picture whose place they take."""
    page.locator(".lab-open").wait_for()
    page.locator(".lab-open").scroll_into_view_if_needed()
    assert page.locator(".lab-open").get_by_role("button", name="Run").is_visible()
    assert page.locator("[data-poster]:has(figure.plot):visible").count() == 0


def test_it_needs_no_network(page, lab):
    """A script from elsewhere: a classroom without a network sees nothing."""
    assert not [url for url in page.asked if not url.startswith((lab, "blob:", "data:"))]


def test_it_follows_the_theme(page):
    """Black words on a dark notebook."""
    run(page, "apputils:change-theme", theme="JupyterLab Dark")
    page.locator("body[data-jp-theme-light=false]").wait_for(state="attached")
    text = page.locator(".explorable-view svg text").first
    fill = text.evaluate("e => getComputedStyle(e).fill.match(/[0-9.]+/g).slice(0, 3).map(Number)")
    assert min(fill) > 150
    run(page, "apputils:change-theme", theme="JupyterLab Light")


def test_a_saved_notebook_shows_pictures_where_no_kernel_is_left(
    page, lab, folder, record_property
):
    """ "Error displaying widget: model not found", from the second day on. Stands last."""
    page.evaluate("jupyterapp.commands.execute('docmanager:save').then(() => null)")
    saved = folder / "figures.ipynb"
    assert all(cell.outputs for cell in nbformat.read(saved, 4).cells)
    size = saved.stat().st_size
    record_property("a saved notebook, bytes a figure", f"{size // (len(FIGURES) + 1):,}")
    run(page, "kernelmenu:shutdown")
    page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
    show(page, lab)
    pictures = page.locator("figure[data-poster] img")
    assert page.locator("[data-poster] figure.plot svg").bounding_box()["height"] > 100
    assert not page.get_by_role("button", name="Run", exact=True).is_visible()
    for number in range(len(FIGURES) + 1):
        pictures.nth(number).scroll_into_view_if_needed()
        assert pictures.nth(number).bounding_box()["height"] > 100
    assert "rror displaying widget" not in page.locator(".jp-Notebook").inner_text()
