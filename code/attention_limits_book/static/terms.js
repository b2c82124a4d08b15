// Shows what a term means beside its link, by the tooltips that the theme ships. Until they are
// there, and without scripts, the link's title says the same.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const { Tooltip } = window.bootstrap ?? {};
  if (!Tooltip) return;
  const links = document.querySelectorAll("a.term");
  for (const link of links) new Tooltip(link, { customClass: "term-card", placement: "bottom", delay: { show: 150, hide: 100 } });
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") for (const link of links) Tooltip.getInstance(link).hide();
  });
});
