// What a fold hides has no width, and the theme, which puts what scrolls in the order of the Tab
// key, passes over it. It is looked at again when the fold opens.
document.addEventListener(
  "toggle",
  ({ target }) => {
    for (const box of target.querySelectorAll("pre, .cell_output > .output, .pst-scrollable-table-container")) {
      box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1;
    }
  },
  true,
);
