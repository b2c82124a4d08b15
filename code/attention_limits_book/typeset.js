// Sets TeX by MathJax outside of a browser; mathematics.py runs this, the book's pages do not.
const { adaptors, core, handlers, input, mathjax, output } = MathJax._;
const adaptor = adaptors.liteAdaptor.liteAdaptor();
handlers.html_ts.RegisterHTMLHandler(adaptor);
const spoken = new core.MmlTree.SerializedMmlVisitor.SerializedMmlVisitor();

const refuse = (jax, error) => {
  throw error;
};
const TeX = new input.tex_ts.TeX({ packages: ["base", "ams"], formatError: refuse });
const font = new output.chtml.fonts.tex_ts.TeXFont({ fontURL: FONTS });
const CHTML = new output.chtml_ts.CHTML({ font, adaptiveCSS: false, matchFontHeight: false });
const page = mathjax.mathjax.document("", { InputJax: TeX, OutputJax: CHTML });

const EM = 16;
const LONG = 6; // em: what is shorter stays in one piece
const NARROW = 12; // em: what is wider scrolls on a phone

const attribute = (node, name) => adaptor.getAttribute(node, name);
const isSpaced = (node) => ["3", "4"].includes(attribute(node, "space"));
const isSpace = (node) => adaptor.kind(node) === "mjx-mspace";
// Behind an operator with space on both sides, and behind a wide space, a line may end.
const mayEnd = (node, next) =>
  adaptor.childNodes(node).some(isSpace) ||
  (adaptor.kind(node) === "mjx-mo" && isSpaced(node) && isSpaced(next));

// Pieces of a long formula in a line of text, between which the line may be broken. The space
// before a piece goes to the end of the one ahead of it, so that no line begins with it.
const inPieces = (math) => {
  const pieces = [[]];
  adaptor.childNodes(math).forEach((node, i, all) => {
    pieces.at(-1).push(node);
    if (i + 1 < all.length && mayEnd(node, all[i + 1])) pieces.push([]);
  });
  if (pieces.length === 1) return false;
  const made = pieces.map((nodes) => adaptor.node("mjx-piece", {}, nodes));
  pieces.slice(1).forEach(([first], i) => {
    const space = attribute(first, "space");
    if (!space) return;
    adaptor.removeAttribute(first, "space");
    adaptor.setAttribute(made[i], "rspace", space);
  });
  math.children = [];
  made.forEach((piece) => adaptor.append(math, piece));
  return true;
};

const set = ([tex, display]) => {
  const item = new page.options.MathItem(tex, TeX, display);
  item.start.node = adaptor.body(page.document);
  item.setMetrics(EM, EM / 2, 1e6, 1e6, 1);
  try {
    item.convert(page);
  } catch (error) {
    return { error: error.message };
  }
  const container = item.typesetRoot;
  const [math] = adaptor.childNodes(container);
  const { w, h, d } = CHTML.getBBox(item, page);
  const broken = !display && w > LONG && inPieces(math);
  if (!broken && w > NARROW) adaptor.setAttribute(container, "tabindex", "0"); // keys scroll it
  // A browser leaves it until it comes near, and knows by then how much room it takes.
  if (display) adaptor.setAttribute(container, "style", `--height: ${(h + d).toFixed(3)}em`);
  adaptor.setAttribute(math, "aria-hidden", "true");
  const words = spoken.visitTree(item.root).replace(/\s*\n\s*/g, "");
  const plain = words.replace(/ (?:xmlns|data-mjx-[\w-]+)="[^"]*"/g, "");
  const read = plain.replace("<math", `<math class="spoken"`);
  return { html: adaptor.outerHTML(container).replace("</mjx-math>", `</mjx-math>${read}`) };
};

globalThis.setAll = (formulas) => JSON.stringify(JSON.parse(formulas).map(set));
globalThis.styles = () => adaptor.textContent(CHTML.styleSheet(page));
