// What scrolls is in the order of the Tab key, and nothing else is: the theme sees to that, but only
// when a window changes, and passes over what a fold hides. This looks at each box when it changes.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const watch = new ResizeObserver((changes) => {
    for (const { target } of changes) {
      const scrolls = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
      target.tabIndex = scrolls ? 0 : -1;
    }
  });
  const boxes = document.querySelectorAll("pre, .cell_output > .output, .pst-scrollable-table-container, figure.plot > div");
  for (const box of boxes) watch.observe(box);
});
