"""The library's pages: each mechanism and encoding with its picture and price, from its docstrings.

A page names a mechanism, by ``{mechanism} sliding_window``, or an encoding of positions, by
``{encoding} rotary``, and everything else is looked up: Sphinx's autodoc reads the docstrings,
``attention_limits.gallery`` draws the picture, and ``cost`` says the price. Nothing is written
twice, so nothing can disagree.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from attention_limits.attention import MECHANISMS
from attention_limits.positions import POSITIONS
from attention_limits_book.directive import Faces

if TYPE_CHECKING:
    from attention_limits.attention.cost import Cost
    from attention_limits.formula import Formula
    from attention_limits.positions.cost import EncodingCost

# The sizes at which prices are compared, and the units that fit them.
SIZES = {"n": 4096, "n_max": 4096, "d": 64, "h": 1, "b": 2, "r": 1}
UNITS = {"FLOPs": (1e6, "MFLOPs"), "bytes": (1e3, "kB"), "numbers": (1, "numbers")}
LONGEST_FORMULA = 128  # characters of TeX; a longer one says less than a number

FIRST_SENTENCE = re.compile(r"(?P<title>[^:.]+): (?P<sentence>.+?\.)(?=\s|\Z)", re.DOTALL)
BAR = re.compile(r"(``.*?``|:[\w:]+:`.*?`)|\|")  # or what may hold bars
BORROWED = ("visible", "frequencies")  # functions that may be another module's
TITLED = ("attention", "baselines", "positions", "tasks")  # whose modules begin with their names
TAUGHT_IN = re.compile(r'Taught in: "(?P<chapter>[^"]+)"')


def setup(app: Sphinx) -> None:
    """Register what the directives for mechanisms and encodings rest on, and links to chapters."""
    for extension in ("autodoc", "napoleon", "viewcode"):
        app.setup_extension(f"sphinx.ext.{extension}")
    app.add_role("chapter", XRefRole(innernodeclass=nodes.inline))
    app.connect("autodoc-process-docstring", _read_docstring)
    app.connect("missing-reference", _resolve_chapter)
    app.connect("env-updated", _pages_with_chapters)


# --- a mechanism or an encoding -----------------------------------------------------------------


class Entry(SphinxDirective):
    """A section with a module's docstrings, its picture and its price."""

    required_arguments = 1
    kind: ClassVar[str]

    @property
    def figures(self) -> ModuleType:
        """Where its examples are, and what draws them."""
        return _gallery(self.kind)

    def run(self) -> list[nodes.Node]:
        """Build the section, or fail the build for a module that the package lacks."""
        name = self.arguments[0]
        if name not in self.figures.EXAMPLES:
            raise self.error(f"there is no {self.kind} {name!r} in {self.figures.__name__}")
        module = self.figures.module_of(name)
        title, _ = _first_sentence(module)
        section = nodes.section("", nodes.title("", title), ids=[name], names=[name])
        section["classes"].append("mechanism")
        section += from_rst(self, f".. automodule:: {module.__name__}")
        section += nodes.raw("", _picture(self.figures, name), format="html")
        section += from_rst(self, _price(module, self.figures.EXAMPLES[name].quoted))
        section += from_rst(self, "\n\n".join(interface(module)))
        anchor_at_heading(section)
        drop_numbered_ids(section)
        _call_as_readers_do(section, module)
        self.env.metadata[self.env.docname]["library"] = True
        return [section]


class Mechanism(Entry):
    """``{mechanism} dense``: a section about a mechanism or a baseline."""

    kind = "mechanism"


class Encoding(Entry):
    """``{encoding} rotary``: a section about a positional encoding."""

    kind = "encoding"


def _gallery(kind: str) -> ModuleType:
    """The pictures of a kind; imported here, since PyTorch comes along and few builds draw them."""
    from attention_limits.gallery import library, positions

    return {"mechanism": library, "encoding": positions}[kind]


def _picture(figures: ModuleType, name: str) -> str:
    """Drawn in the book's own style, whatever settings of the reader's own have been loaded."""
    import matplotlib as mpl

    from attention_limits import style

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(style.SETTINGS)
        return figures.picture(name)._repr_html_()


def from_rst(directive: SphinxDirective, text: str) -> list[nodes.Node]:
    """What docstrings are written in, on a page that is written in MyST."""
    return directive.parse_text_to_nodes(f"```{{eval-rst}}\n{text}\n```")


def note_source(directive: SphinxDirective, thing: ModuleType | type) -> None:
    """Have the page read again when the source of a module or a class changes."""
    if source := inspect.getsourcefile(thing):
        directive.env.note_dependency(source)


def _first_sentence(module: ModuleType) -> tuple[str, str]:
    """What a docstring begins with: the mechanism's name and what it does, in one sentence."""
    match = FIRST_SENTENCE.match(inspect.getdoc(module) or "")
    if match is None:
        raise ValueError(f"{module.__name__}: its docstring must begin 'Name: what it does.'")
    sentence = " ".join(match["sentence"].split())
    return match["title"], sentence[0].upper() + sentence[1:]


def interface(module: ModuleType) -> Iterator[str]:
    """Every public function and class, in the order of the source; what is borrowed, as a link."""
    public = {name: x for name, x in vars(module).items() if not name.startswith("_")}
    own = [x for x in public.values() if getattr(x, "__module__", "") == module.__name__]
    for thing in sorted(own, key=lambda x: inspect.getsourcelines(x)[1]):
        kind = "autoclass" if inspect.isclass(thing) else "autofunction"
        yield f".. {kind}:: {module.__name__}.{thing.__name__}"
    for name in BORROWED:
        if name in public and public[name] not in own:
            full = f"{public[name].__module__}.{name}"
            short = ".".join(full.split(".")[-2:])
            yield f"``{name}`` is :py:func:`{short} <{full}>`."


def anchor_at_heading(section: nodes.section) -> None:
    """Let links to the module lead to the heading, and not to what stands below it."""
    for target in list(section.findall(nodes.target)):
        section["ids"] += target["ids"]
        target.parent.remove(target)


def drop_numbered_ids(section: nodes.section) -> None:
    """Each piece of reStructuredText counts its citations from 1, and no two ids may be equal.

    Nothing leads back to them.
    """
    for node in section.findall(nodes.Element):
        node["ids"] = [i for i in node["ids"] if not re.fullmatch(r"id\d+", i)]


def _call_as_readers_do(section: nodes.section, module: ModuleType) -> None:
    """Functions go by the name of their module, ``dense.attend``, and not by a bare ``attend``."""
    for name in list(section.findall(addnodes.desc_name)):
        prefix = addnodes.desc_addname("", f"{module.__name__.rpartition('.')[2]}.")
        name.parent.insert(name.parent.index(name), prefix)


# --- prices -------------------------------------------------------------------------------------


def _cost(module: ModuleType, quoted: Mapping[str, object]) -> tuple["Cost | EncodingCost", str]:
    """The price at the options that a page quotes, and the call that told it."""
    library = _gallery("mechanism")
    cost = module.cost(**library.accepted(module.cost, quoted))
    return cost, library.call(module.__name__.rpartition(".")[2], module.cost, quoted)


def _price(module: ModuleType, quoted: Mapping[str, object]) -> str:
    cost, call = _cost(module, quoted)
    formulas = {part.name: getattr(cost, part.name) for part in fields(cost)}
    used = {symbol.name for formula in formulas.values() for symbol in formula.symbols}
    sizes = ", ".join(f"{symbol} = {SIZES[symbol]:,}" for symbol in SIZES if symbol in used)
    lines = [f"``{call}``, as formulas and at {sizes}:" if sizes else f"``{call}``:", ""]
    for part, formula in formulas.items():
        lines.append(f"- {part}: {_formula(formula)}{_amount(formula)} {UNITS[formula.unit][1]}")
    return "\n".join(lines)


def _formula(formula: "Formula") -> str:
    """The formula where it is short, or else what it comes to in long texts; or nothing.

    One that depends on no size is its own value.
    """
    if not formula.symbols:
        return ""
    if len(formula.latex) <= LONGEST_FORMULA:
        return f":math:`{formula.latex}` {formula.unit}, "
    tex = in_long_texts(formula).latex
    if len(tex) <= LONGEST_FORMULA:
        return f":math:`{tex}` {formula.unit} for n ≥ {SIZES['n']:,}, "
    return ""


def in_long_texts(formula: "Formula") -> "Formula":
    """The formula for those n that are no less than in SIZES, where no minimum is in doubt."""
    import sympy as sp

    from attention_limits import symbols
    from attention_limits.formula import Formula

    least, beyond = SIZES["n"], symbols.i  # any symbol that is not negative
    decided = formula.subs({symbols.n: least + beyond}).subs({beyond: symbols.n - least})
    return Formula(sp.factor_terms(sp.expand(decided.expr)), formula.unit, formula.name)


def _amount(formula: "Formula") -> str:
    """The value at SIZES, in units that suit all modules: what is no plain count, to 3 digits."""
    value = formula(**{symbol.name: SIZES[symbol.name] for symbol in formula.symbols})
    size, _ = UNITS[formula.unit]
    return f"{value:,}" if size == 1 else f"{float(f'{value / size:.3g}'):,g}"


# --- tables -------------------------------------------------------------------------------------


def table(head: Iterable[str], rows: Iterable[Iterable[str]], *, look: str) -> str:
    """A table in reStructuredText, of the class that the style sheet knows by its look."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :class: {look}", ""]
    for row in (head, *rows):
        for number, cell in enumerate(row):
            lines.append(f"{'     - ' if number else '   * - '}{cell}".rstrip())
    return "\n".join(lines)


class EntryTable(SphinxDirective):
    """All modules of a kind at a glance, with links."""

    kind: ClassVar[str]
    look: ClassVar[str]
    head: ClassVar[tuple[str, ...]]

    @property
    def figures(self) -> ModuleType:
        """Where its examples are."""
        return _gallery(self.kind)

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        self.env.metadata[self.env.docname]["library"] = True
        head = ("module", *self.head)
        return from_rst(self, table(head, map(self._row, self.all_names()), look=self.look))

    def all_names(self) -> Iterable[str]:
        """What has a row."""
        raise NotImplementedError

    def cells(self, name: str, module: ModuleType, cost: Any) -> tuple[str, ...]:
        """What a row has under ``head``."""
        raise NotImplementedError

    def _row(self, name: str) -> tuple[str, ...]:
        module = self.figures.module_of(name)
        note_source(self, module)
        cost, _ = _cost(module, self.figures.EXAMPLES[name].quoted)
        return f":py:mod:`{name} <{module.__name__}>`", *self.cells(name, module, cost)


class MechanismTable(EntryTable):
    """``{mechanism-table}``: every mechanism and baseline."""

    kind, look = "mechanism", "mechanisms"
    head = ("needed, MFLOPs", "held, kB", "reaches back", "what it does", "taught in")

    def all_names(self) -> Iterable[str]:
        """The baselines last."""
        return (*MECHANISMS, *self.figures.BASELINES)

    def cells(self, name: str, module: ModuleType, cost: "Cost") -> tuple[str, ...]:
        """What one head needs and holds, how far it sees, and where to read about it."""
        chapter = TAUGHT_IN.search(inspect.getdoc(module) or "")
        return (
            _amount(cost.needed),
            _amount(cost.held),
            "{} ({})".format(*self.figures.receptive_field(name)),
            _first_sentence(module)[1],
            f":chapter:`{chapter['chapter']}`" if chapter else "",
        )


class EncodingTable(EntryTable):
    """``{encoding-table}``: every positional encoding."""

    kind, look = "encoding", "encodings"
    head = ("parameters", "MFLOPs", "acts on", "a score depends on", "what it does")

    def all_names(self) -> Iterable[str]:
        """In the order of the package."""
        return POSITIONS

    def cells(self, name: str, module: ModuleType, cost: "EncodingCost") -> tuple[str, ...]:
        """What it costs, and what kind of encoding it is."""
        return (
            _amount(cost.parameters),
            _amount(cost.flops),
            module.PLACE,
            self.figures.EXAMPLES[name].depends_on,
            _first_sentence(module)[1],
        )


class TransformTable(SphinxDirective):
    """``{transform-table}``: which mechanisms go through which of PyTorch's transforms."""

    def run(self) -> list[nodes.Node]:
        """Build the table of what the tests tried."""
        from attention_limits.gallery import transforms

        note_source(self, transforms)
        return from_rst(
            self, table(("transform", "works for", "tried"), self._rows(), look="transforms")
        )

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        from attention_limits.gallery.transforms import REFUSED, TRANSFORMS

        for name, tried in TRANSFORMS.items():
            refused = [mechanism for mechanism in MECHANISMS if (name, mechanism) in REFUSED]
            others = f"all but {' and '.join(refused)}, which say so" if refused else "all"
            yield name, others, tried


# --- docstrings ---------------------------------------------------------------------------------


def _read_docstring(
    app: Sphinx, what: str, name: str, thing: Any, options: object, lines: list[str]
) -> None:
    """Of a module, the name stands in the heading already, and the chapter becomes a link."""
    parts = name.split(".")
    if what == "module" and len(parts) > 2 and parts[1] in TITLED:
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


def _pages_with_chapters(app: Sphinx, env) -> list[str]:
    """The pages to write again as a chapter has appeared, has gone or has a new title."""
    before, env.library_chapters = getattr(env, "library_chapters", None), _chapters(env)
    if before == env.library_chapters:
        return []
    return [page for page, notes in env.metadata.items() if "library" in notes]


DIRECTIVES = {
    "mechanism": Faces(Mechanism, rests_on=lambda: (__name__,)),
    "mechanism-table": Faces(MechanismTable, rests_on=lambda: (__name__,)),
    "transform-table": Faces(TransformTable, rests_on=lambda: (__name__,)),
    "encoding": Faces(Encoding, rests_on=lambda: (__name__,)),
    "encoding-table": Faces(EncodingTable, rests_on=lambda: (__name__,)),
}
