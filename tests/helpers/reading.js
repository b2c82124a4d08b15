// What a reader would stumble over, as far as a browser can tell: called with the page as it is now.
// Each function returns words about every fault that it finds, and where.
() => {
  "use strict";
  const HIDDEN = "script, style, noscript, .spoken, .skip-link, .visually-hidden, .headerlink, .tooltip, .explorable-status, #pst-primary-sidebar-modal";
  const FIXED = ".bd-header-article, .bd-sidebar-primary, .bd-sidebar-secondary, #pst-back-to-top";
  const seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !e.closest(HIDDEN);
  const named = (e) => `${e.nodeName.toLowerCase()}.${e.getAttribute("class") ?? ""}`.slice(0, 60);
  const where = (e) => `${named(e)} in ${named(e.parentElement)}`;
  const meet = (a, b) => {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    return across > 2 && down > Math.max(2, 0.35 * Math.min(a.height, b.height));
  };
  const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth;

  // The box that ends something before its own end, if nothing scrolls there.
  const cutBy = (element, box) => {
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (e.nodeName === "BODY") return box.right > innerWidth + 1 || box.left < -1 ? "the window" : "";
      if (scrolls(e)) return "";
      if (style.display === "inline" || style.overflowX === "visible" || e instanceof SVGElement) continue;
      const { left, right } = e.getBoundingClientRect();
      if (box.right > right + 1.5 || box.left < left - 1.5) return named(e);
    }
    return "";
  };
  const cut = () => {
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const { data, parentElement } = texts.currentNode;
      if (!data.trim() || !seen(parentElement)) continue;
      const range = document.createRange();
      range.selectNodeContents(texts.currentNode);
      for (const box of range.getClientRects()) {
        const by = box.width > 1 && cutBy(parentElement, box);
        if (by) found.push(`“${data.trim().slice(0, 40)}” is cut by ${by}`);
        if (by) break;
      }
    }
    for (const e of document.querySelectorAll("img, svg, canvas, button, input, select, figure, table")) {
      const box = e.getBoundingClientRect();
      const outer = e.ownerSVGElement ?? e.parentElement.closest("figure");
      const beyond = outer && !scrolls(e.parentElement) && box.right > outer.getBoundingClientRect().right + 1;
      if (!seen(e) || e.ownerSVGElement || !box.width) continue;
      const by = cutBy(e.parentElement, box) || (beyond && !e.closest("table") && "its figure");
      if (by) found.push(`${where(e)} is cut by ${by}`);
    }
    return found;
  };

  // Words of a drawing that leave its figure, or stand on each other.
  const drawn = () => {
    const found = [];
    for (const svg of document.querySelectorAll("figure svg")) {
      if (!seen(svg)) continue;
      const shown = (e) => getComputedStyle(e).fill !== "none" && getComputedStyle(e).opacity !== "0" && e.textContent.trim();
      const texts = [...svg.querySelectorAll("text")].filter(shown);
      const level = texts.filter((e) => !/rotate/.test(e.getAttribute("transform")));
      const boxes = new Map(texts.map((e) => [e, e.getBoundingClientRect()]));
      const figure = svg.closest("figure");
      const { left, right } = figure.getBoundingClientRect();
      for (const [text, box] of boxes) {
        if (scrolls(svg.parentElement)) break;
        if (box.left < left || box.right > right) found.push(`“${text.textContent}” leaves ${figure.id || "its figure"}`);
      }
      level.forEach((one, i) => {
        const other = level.slice(i + 1).find((e) => meet(boxes.get(one), boxes.get(e)));
        if (other) found.push(`“${one.textContent}” meets “${other.textContent}” in ${figure.id || "a figure"}`);
      });
    }
    return found;
  };

  // What is to be pressed or moved, where two lie on each other.
  const covered = () => {
    const controls = [...document.querySelectorAll("button, input, select, summary, a[href], output, .explorable-slider span")].filter(seen);
    const boxes = controls.flatMap((e) => [...e.getClientRects()].map((box) => [box, e]));
    boxes.sort(([a], [b]) => a.top - b.top);
    const found = [];
    boxes.forEach(([a, one], i) => {
      for (const [b, other] of boxes.slice(i + 1)) {
        if (b.top >= a.bottom) break;
        if (one.contains(other) || other.contains(one) || one.closest(FIXED) !== other.closest(FIXED)) continue;
        if (meet(a, b)) found.push(`${where(one)} lies on ${where(other)}`);
      }
    });
    return found;
  };

  const wide = () => {
    const by = document.documentElement.scrollWidth - innerWidth;
    return by > 0 ? [`the page is ${by} pixels wider than its window`] : [];
  };
  return [...wide(), ...cut(), ...drawn(), ...covered()];
}
