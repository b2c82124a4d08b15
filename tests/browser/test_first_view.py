"""What a reader on a slow line sees before any script has come."""

import pytest

pytestmark = pytest.mark.browser

PAGE = "chapters/proofs.html"
LOOK = """() => [
    document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]"""
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 18, 18)"}


@pytest.mark.parametrize("theme", BACKGROUNDS)
@pytest.mark.parametrize("asked", BACKGROUNDS)
def test_the_theme_is_there_before_the_scripts(theme, asked, address, open_tab):
    """A page that was to be dark flashed white; or it forgot what its reader had chosen."""
    tab = open_tab("about:blank", theme=asked)
    tab.page.route("**/*.js*", lambda route: route.abort())
    tab.page.goto(address("http", PAGE))
    assert tab.page.evaluate(LOOK) == [asked, BACKGROUNDS[asked]]
    tab.page.evaluate("theme => localStorage.setItem('mode', theme)", theme)
    tab.page.reload()
    assert tab.page.evaluate(LOOK) == [theme, BACKGROUNDS[theme]]
    tab.close()
