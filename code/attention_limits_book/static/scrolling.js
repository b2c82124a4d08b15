// What scrolls is in the order of the Tab key, and nothing else is: the theme sees to that, but only
// when a window changes, and passes over what a fold hides. This looks at each box when it changes.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  // A browser stops at each formula that is a fraction of a pixel larger than its box: that is most
  // of them. Inside a formula nothing has words, so that its pieces get no stop of ours.
  const FORMULAS = "span.math, mjx-piece, div.math mjx-container[display]";
  const BOXES = "pre, .cell_output > .output, .pst-scrollable-table-container, figure.plot > div";
  const scrolls = (box) =>
    box.matches(FORMULAS)
      ? box.scrollWidth > box.clientWidth + 1
      : box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
  const look = (boxes) => {
    // All are read before any is written: in turns, each would have the page laid out again.
    const found = boxes.map((box) => [box, scrolls(box) ? "0" : "-1"]);
    for (const [box, index] of found) {
      if (index === "0" && box.matches("mjx-piece")) box.removeAttribute("tabindex");
      else if (box.getAttribute("tabindex") !== index) box.setAttribute("tabindex", index);
    }
  };
  const watch = new ResizeObserver((changes) => look(changes.map(({ target }) => target)));
  for (const box of document.querySelectorAll(`${BOXES}, ${FORMULAS}`)) watch.observe(box);
  // A large formula is set when it comes near, and then its box may be as large as before.
  document.addEventListener("contentvisibilityautostatechange", ({ target, skipped }) => {
    if (!skipped && target.matches(FORMULAS)) look([target]);
  });
});
