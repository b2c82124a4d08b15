// What print.css cannot do of itself: a page that is dark on the screen is light on paper, and what a
// browser would not unfold by its style sheet is open there. Afterwards the page is as it was.
(() => {
  "use strict";
  const { dataset } = document.documentElement;
  let theme, folded;
  window.addEventListener("beforeprint", () => {
    theme = dataset.theme;
    dataset.theme = "light";
    folded = [...document.querySelectorAll("article details:not([open])")];
    for (const fold of folded) fold.open = true;
  });
  window.addEventListener("afterprint", () => {
    dataset.theme = theme;
    for (const fold of folded) fold.open = false;
  });
})();
