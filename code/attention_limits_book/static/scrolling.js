// What scrolls is in the order of the Tab key, and nothing else is: the theme sees to that, but only
// when a window changes, and passes over what a fold hides. This looks at each box when it changes.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const scrolls = (box) => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
  const watch = new ResizeObserver((changes) => {
    // All are read before any is written: in turns, each would have the page laid out again.
    const found = changes.map(({ target }) => [target, scrolls(target) ? 0 : -1]);
    for (const [box, index] of found) if (box.tabIndex !== index) box.tabIndex = index;
  });
  const boxes = document.querySelectorAll("pre, .cell_output > .output, .pst-scrollable-table-container, figure.plot > div");
  for (const box of boxes) watch.observe(box);
});
