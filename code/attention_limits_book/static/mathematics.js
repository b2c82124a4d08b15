// What a reader copies keeps its formulas: in their place stands the TeX that they were set from.
document.addEventListener("copy", (event) => {
  "use strict";
  const selection = getSelection();
  if (selection.isCollapsed || event.target.closest?.("input, textarea")) return;
  const copied = document.createElement("div");
  let formulas = 0;
  for (let i = 0; i < selection.rangeCount; i++) {
    const range = selection.getRangeAt(i).cloneRange();
    // A formula is copied as a whole.
    const from = formulaAround(range.startContainer), to = formulaAround(range.endContainer);
    if (from) range.setStartBefore(from);
    if (to) range.setEndAfter(to);
    copied.append(range.cloneContents());
  }
  for (const formula of copied.querySelectorAll(".math[data-tex]")) {
    const { tex } = formula.dataset;
    formula.replaceWith(formula.nodeName === "DIV" ? `\n$$${tex}$$\n` : `$${tex}$`);
    formulas++;
  }
  if (!formulas) return;
  // The text as it would be shown: only what is in the page has lines.
  copied.style.cssText = "position: absolute; left: -100vw; white-space: pre-wrap";
  document.body.append(copied);
  event.clipboardData.setData("text/plain", copied.innerText);
  copied.removeAttribute("style");
  event.clipboardData.setData("text/html", copied.innerHTML);
  copied.remove();
  event.preventDefault();

  function formulaAround(node) {
    return (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest(".math[data-tex]");
  }
});
