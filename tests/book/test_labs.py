"""What a page says beneath a lab, whose controls need what a page has not."""

from types import SimpleNamespace

from attention_limits.lab import Lab
from attention_limits.notebook import STILL
from attention_limits_book import labs


def test_the_words_of_a_lab_lead_to_the_notebook(monkeypatch):
    """They told a reader to press a button somewhere above."""
    monkeypatch.setenv(STILL, "1")
    recorded = type("Recorded", (), {"alt": "A line.", "_repr_html_": lambda self: "<figure/>"})
    body = Lab(controls=None, recorded=recorded)._repr_mimebundle_()["text/html"]
    context = {"body": body, "pathto": lambda name, resource: f"../{name}" if resource else ""}
    app = SimpleNamespace(config=SimpleNamespace(book_addresses=None))
    labs._lead_to_notebook(app, "chapters/flops", "page.html", context, None)
    assert "Colab" not in context["body"]
    assert (
        '<a class="lab-notebook" href="../notebooks/chapters/flops.ipynb" download>'
        in (context["body"])
    )
    assert "PyTorch" in context["body"]
    context["body"] = "no lab"
    labs._lead_to_notebook(app, "chapters/flops", "page.html", context, None)
    assert context["body"] == "no lab"
