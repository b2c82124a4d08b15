"""The library's pages: every mechanism with its picture and its price, from its own docstrings.

A page names a mechanism, by ``{mechanism} sliding_window``, and everything else is looked up:
Sphinx's autodoc reads the docstrings, ``attention_limits.figures.library`` draws the picture, and
``cost`` says the price. Nothing is written twice, so nothing can disagree.
"""

import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import matplotlib as mpl
import sympy as sp
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from attention_limits import style, symbols
from attention_limits.attention import MECHANISMS
from attention_limits.attention.cost import Cost
from attention_limits.figures import library as figures
from attention_limits.formula import Formula

# The sizes at which prices are compared, and the units that fit them.
SIZES = {"n": 4096, "d": 64, "b": 2, "r": 1}
UNITS = {"FLOPs": (1e6, "MFLOPs"), "bytes": (1e3, "kB")}
LONGEST_FORMULA = 128  # characters of TeX; a longer one says less than a number

FIRST_SENTENCE = re.compile(r"(?P<title>[^:.]+): (?P<sentence>.+?\.)(?=\s|\Z)", re.DOTALL)
BAR = re.compile(r"(``.*?``|:[\w:]+:`.*?`)|\|")  # or what may hold bars
TAUGHT_IN = re.compile(r'Taught in: "(?P<chapter>[^"]+)"')


def setup(app: Sphinx) -> None:
    """Register the directives ``mechanism`` and ``mechanism-table``, and links to chapters."""
    for extension in ("autodoc", "napoleon", "viewcode"):
        app.setup_extension(f"sphinx.ext.{extension}")
    app.add_directive("mechanism", Mechanism)
    app.add_directive("mechanism-table", MechanismTable)
    app.add_role("chapter", XRefRole(innernodeclass=nodes.inline))
    app.connect("autodoc-process-docstring", _read_docstring)
    app.connect("missing-reference", _resolve_chapter)
    app.connect("env-updated", _pages_with_chapters)


# --- a mechanism --------------------------------------------------------------------------------


class Mechanism(SphinxDirective):
    """``{mechanism} dense``: a section with the mechanism's docstrings, picture and price."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build the section, or fail the build for a mechanism that the package lacks."""
        name = self.arguments[0]
        if name not in figures.EXAMPLES:
            raise self.error(f"there is no mechanism {name!r} in attention_limits.figures.library")
        module = figures.module_of(name)
        title, _ = _first_sentence(module)
        section = nodes.section("", nodes.title("", title), ids=[name], names=[name])
        section["classes"].append("mechanism")
        section += _from_rst(self, f".. automodule:: {module.__name__}")
        section += nodes.raw("", _picture(name), format="html")
        section += _from_rst(self, _price(name, module))
        section += _from_rst(self, "\n\n".join(_doors(module)))
        _anchor_at_heading(section)
        _drop_numbered_ids(section)
        _call_as_readers_do(section, module)
        self.env.metadata[self.env.docname]["library"] = True
        return [section]


def _picture(name: str) -> str:
    """Drawn in the book's own style, whatever settings of the reader's own have been loaded."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(style.SETTINGS)
        return figures.picture(name)._repr_html_()


def _from_rst(directive: SphinxDirective, text: str) -> list[nodes.Node]:
    """What docstrings are written in, on a page that is written in MyST."""
    return directive.parse_text_to_nodes(f"```{{eval-rst}}\n{text}\n```")


def _first_sentence(module: ModuleType) -> tuple[str, str]:
    """What a docstring begins with: the mechanism's name and what it does, in one sentence."""
    match = FIRST_SENTENCE.match(inspect.getdoc(module))
    if match is None:
        raise ValueError(f"{module.__name__}: its docstring must begin 'Name: what it does.'")
    sentence = " ".join(match["sentence"].split())
    return match["title"], sentence[0].upper() + sentence[1:]


def _doors(module: ModuleType) -> Iterator[str]:
    """Every public function and class, in the order of the source; what is borrowed, as a link."""
    public = {name: x for name, x in vars(module).items() if not name.startswith("_")}
    own = [x for x in public.values() if getattr(x, "__module__", "") == module.__name__]
    for thing in sorted(own, key=lambda x: inspect.getsourcelines(x)[1]):
        kind = "autoclass" if inspect.isclass(thing) else "autofunction"
        yield f".. {kind}:: {module.__name__}.{thing.__name__}"
    borrowed = public.get("visible")
    if borrowed and borrowed not in own:
        full = f"{borrowed.__module__}.visible"
        short = f"{borrowed.__module__.rpartition('.')[2]}.visible"
        yield f"``visible`` is :py:func:`{short} <{full}>`."


def _anchor_at_heading(section: nodes.section) -> None:
    """Let links to the module lead to the heading, and not to what stands below it."""
    for target in list(section.findall(nodes.target)):
        section["ids"] += target["ids"]
        target.parent.remove(target)


def _drop_numbered_ids(section: nodes.section) -> None:
    """Each piece of reStructuredText counts its citations from 1, and no two ids may be equal.

    Nothing leads back to them.
    """
    for node in section.findall(nodes.Element):
        node["ids"] = [i for i in node.get("ids", ()) if not re.fullmatch(r"id\d+", i)]


def _call_as_readers_do(section: nodes.section, module: ModuleType) -> None:
    """Functions go by the name of their module, ``dense.attend``, and not by a bare ``attend``."""
    for name in list(section.findall(addnodes.desc_name)):
        prefix = addnodes.desc_addname("", f"{module.__name__.rpartition('.')[2]}.")
        name.parent.insert(name.parent.index(name), prefix)


# --- prices -------------------------------------------------------------------------------------


def _cost(name: str, module: ModuleType) -> tuple[Cost, str]:
    """The price at the options that a page quotes, and the call that told it."""
    quoted = figures.EXAMPLES[name].quoted
    cost = module.cost(**figures.accepted(module.cost, quoted))
    return cost, figures.call(name, module.cost, quoted)


def _price(name: str, module: ModuleType) -> str:
    cost, call = _cost(name, module)
    formulas = {part: getattr(cost, part) for part in ("needed", "executed", "held")}
    used = {symbol.name for formula in formulas.values() for symbol in formula.symbols}
    sizes = ", ".join(f"{symbol} = {SIZES[symbol]:,}" for symbol in SIZES if symbol in used)
    lines = [f"``{call}``, as formulas and at {sizes}:", ""]
    for part, formula in formulas.items():
        lines.append(f"- {part}: {_formula(formula)}{_amount(formula)} {UNITS[formula.unit][1]}")
    return "\n".join(lines)


def _formula(formula: Formula) -> str:
    """The formula where it is short, or else what it comes to in long texts; or nothing."""
    if len(formula.latex) <= LONGEST_FORMULA:
        return f":math:`{formula.latex}` {formula.unit}, "
    tex = in_long_texts(formula).latex
    if len(tex) <= LONGEST_FORMULA:
        return f":math:`{tex}` {formula.unit} for n ≥ {SIZES['n']:,}, "
    return ""


def in_long_texts(formula: Formula) -> Formula:
    """The formula for those n that are no less than in SIZES, where no minimum is in doubt."""
    least, beyond = SIZES["n"], symbols.i  # any symbol that is not negative
    decided = formula.subs({symbols.n: least + beyond}).subs({beyond: symbols.n - least})
    return Formula(sp.factor_terms(sp.expand(decided.expr)), formula.unit, formula.name)


def _amount(formula: Formula) -> str:
    """The value at SIZES, to three digits, in units that suit all mechanisms."""
    value = formula(**{symbol.name: SIZES[symbol.name] for symbol in formula.symbols})
    return f"{float(f'{value / UNITS[formula.unit][0]:.3g}'):,g}"


class MechanismTable(SphinxDirective):
    """``{mechanism-table}``: every mechanism and baseline at a glance, with links."""

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        self.env.metadata[self.env.docname]["library"] = True
        rows = [self._row(name) for name in (*MECHANISMS, *figures.BASELINES)]
        head = ("module", "needed, MFLOPs", "held, kB", "reaches back", "what it does", "taught in")
        lines = [".. list-table::", "   :header-rows: 1", "   :class: mechanisms", ""]
        for row in (head, *rows):
            margins = ("   * - ", *["     - "] * (len(row) - 1))
            lines += [(margin + cell).rstrip() for margin, cell in zip(margins, row, strict=True)]
        return _from_rst(self, "\n".join(lines))

    def _row(self, name: str) -> tuple[str, ...]:
        module = figures.module_of(name)
        self.env.note_dependency(inspect.getsourcefile(module))
        cost, _ = _cost(name, module)
        chapter = TAUGHT_IN.search(inspect.getdoc(module))
        return (
            f":py:mod:`{name} <{module.__name__}>`",
            _amount(cost.needed),
            _amount(cost.held),
            "{} ({})".format(*figures.reach(name)),
            _first_sentence(module)[1],
            f":chapter:`{chapter['chapter']}`" if chapter else "",
        )


# --- docstrings ---------------------------------------------------------------------------------


def _read_docstring(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Of a module, the name stands in the heading already, and the chapter becomes a link."""
    if what == "module":
        text = FIRST_SENTENCE.sub(lambda _: _first_sentence(thing)[1], "\n".join(lines), count=1)
        lines[:] = TAUGHT_IN.sub(r"Taught in: :chapter:`\g<chapter>`", text).split("\n")
    lines[:] = with_plain_bars(lines)


def with_plain_bars(lines: list[str]) -> Iterator[str]:
    """|x| for a size, which reStructuredText takes for a name that something else stands for.

    Within mathematics and literals a bar is a bar already.
    """
    margin = None  # of the directive that a line is in
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if margin is not None and line.strip() and indent <= margin:
            margin = None
        if margin is None and line.lstrip().startswith(".. "):
            margin = indent
        yield line if margin is not None else BAR.sub(lambda m: m[1] or r"\|", line)


# --- links to chapters --------------------------------------------------------------------------


def _chapters(env: BuildEnvironment) -> dict[str, str]:
    """Where the chapter of each title is."""
    return {
        title.astext(): page for page, title in env.titles.items() if page.startswith("chapters/")
    }


def _resolve_chapter(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, contnode: nodes.Element
) -> nodes.Element | None:
    """A link to the chapter of that title, or its title if nobody has written it yet."""
    if node["reftype"] != "chapter":
        return None
    page = _chapters(env).get(node["reftarget"])
    return make_refnode(app.builder, node["refdoc"], page, "", contnode) if page else contnode


def _pages_with_chapters(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages to write again as a chapter has appeared, has gone or has a new title."""
    before, env.library_chapters = getattr(env, "library_chapters", None), _chapters(env)
    if before == env.library_chapters:
        return []
    return [page for page, notes in env.metadata.items() if "library" in notes]
