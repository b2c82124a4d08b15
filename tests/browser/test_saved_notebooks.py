"""A notebook that was run, by a kernel of these versions and of Colab's, and nbconvert's HTML."""

import subprocess
import sys
from pathlib import Path

import ipywidgets
import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [pytest.mark.browser, pytest.mark.deep]

CELLS = (
    "from attention_limits.chapters.quadratic_cost.explorables.flops import attention_share\n"
    "attention_share()",
    "from attention_limits.chapters.attention.explorables import look_up\nlook_up()",
    "from IPython.display import display\ndisplay(look_up())",
    "from attention_limits.chapters.quadratic_cost.lab import time_it\ntime_it()",
)
FIGURES = 3  # the last cell is a lab's
VERSION = "import ipywidgets\nprint(ipywidgets.__version__)"
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
ROOT = Path(__file__).parents[2]


def environment(kind, folder):
    """The Python of an environment: this one, or one with Colab's versions above it."""
    if kind == "this":
        return sys.executable
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    own = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "below.pth").write_text("\n".join([*own, str(ROOT / "code")]))
    install = ["install", "--quiet", "--no-deps", "--requirement", ROOT / "tests" / "colab.txt"]
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    subprocess.run([*pip, *install], check=True)
    return str(python)


@pytest.fixture(scope="module", params=["this", "colab"])
def ran(request, tmp_path_factory):
    """The notebook with its outputs, and the folder that it was run in."""
    folder = tmp_path_factory.mktemp(request.param)
    python = environment(request.param, folder / "environment")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (*CELLS, VERSION)]
    )
    client = NotebookClient(notebook, timeout=600, kernel_name="python3")
    client.create_kernel_manager()
    client.km.kernel_spec.argv[0] = python
    client.execute()
    version = {"this": ipywidgets.__version__, "colab": "7.7.1"}[request.param]
    assert notebook.cells.pop().outputs[0].text.strip() == version, "it is another environment"
    return notebook


def test_each_figure_has_a_picture_and_a_widget(ran):
    """One that shows nothing without a kernel, or nothing with one."""
    for cell in ran.cells[:FIGURES]:
        still, live = (output.data for output in cell.outputs)
        assert VIEW in live
        assert not live.get("text/plain")
        assert "<img src=" in still["text/html"]
        assert "<table>" in still["text/html"]
        assert still["text/plain"]
        assert not [o for o in cell.outputs if o.output_type == "stream"]


def test_what_draws_is_sent_once(ran, record_property):
    """Vega with each figure: a notebook of eight would weigh two megabytes more."""
    models = ran.metadata.widgets[STATE]["state"].values()
    with_buffers = [model for model in models if model.get("buffers")]
    assert len(with_buffers) == 1
    text = len(nbformat.writes(ran))
    packed = len(with_buffers[0]["buffers"][0]["data"])
    record_property("a notebook of three figures and their state, bytes", f"{text:,}")
    record_property("of which Vega", f"{packed:,}")


def test_as_a_page_of_nbconvert_s_it_shows_pictures_and_no_dead_control(ran, browser, tmp_path):
    """An empty place where a figure should be, or a slider that nobody hears."""
    from nbconvert import HTMLExporter

    page = browser.new_page()
    target = tmp_path / "notebook.html"
    target.write_text(HTMLExporter().from_notebook_node(ran)[0], encoding="utf-8")
    page.route("http*://**", lambda route: route.abort())
    page.goto(target.as_uri())
    pictures = page.locator("figure[data-poster]")
    assert pictures.count() == FIGURES
    assert page.locator("[data-poster] figure.plot svg").bounding_box()["height"] > 100
    for picture in pictures.all():
        assert picture.locator("img").bounding_box()["height"] > 100
        picture.locator("summary").click()
        assert picture.locator("table").is_visible()
    assert page.locator(":is(input, select, button, textarea):visible").count() == 0
    page.close()
