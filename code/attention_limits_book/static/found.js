// Leads a reader who comes from the search to the passage that she looked for, and marks her words.
// Once everything is there, and the browser has been to the place that the address names.
if (new URL(location).searchParams.has("highlight")) addEventListener("load", () => requestAnimationFrame(() => {
  "use strict";
  const PASSAGES = "h2, h3, h4, h5, h6, p, li, dt, tr, pre, figcaption, summary";
  const address = new URL(location);
  const words = (address.searchParams.get("highlight") ?? "").toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
  const article = document.querySelector("article");
  if (!words.length || !article) return;

  // A word in all its forms, about as the search takes them for one; short ones as they are.
  const forms = words.map((word) => {
    const stem = word.replace(/(?<=[\p{L}\p{N}]{4})(?:ies|ing|ed|es)$|(?<=[\p{L}\p{N}]{2}[^s])s$/u, "");
    const end = word.length > 2 ? "[\\p{L}\\p{N}_]*" : "(?![\\p{L}\\p{N}])";
    return new RegExp(`(?<![\\p{L}\\p{N}])${stem}${end}`, "giu");
  });
  const count = ({ textContent }) => forms.filter((form) => textContent.search(form) >= 0).length;
  const folded = (element) => Boolean(element.closest("details:not([open]), .toggle-hidden"));

  // Where most of the words are; among equals what is not folded, and then the first.
  const best = (place) => {
    let passage, most = 0;
    const all = [place, ...place.querySelectorAll("*")].filter((element) => element.matches(PASSAGES));
    for (const element of all) {
      const found = count(element) && count(element) + !folded(element) / 2;
      if (found > most) [passage, most] = [element, found];
    }
    return passage;
  };
  const target = article.querySelector(":target");
  const passage = (target && best(target)) ?? best(article);
  if (!passage) return;
  for (let box = passage; box !== article; box = box.parentElement) {
    if (box.nodeName === "DETAILS") box.open = true;
    if (box.matches(".toggle-hidden")) box.querySelector(":scope > .admonition-title").click();
  }
  passage.tabIndex = -1; // a screen reader goes on from here
  passage.focus({ preventScroll: true });
  passage.scrollIntoView({ block: "center" });

  const ranges = [];
  const texts = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.closest("script, style, svg, button, mjx-container, .headerlink")) continue;
    for (const { index, 0: { length } } of forms.flatMap((form) => [...text.data.matchAll(form)])) {
      const range = new Range();
      range.setStart(text, index);
      range.setEnd(text, index + length);
      ranges.push(range);
    }
  }
  if (globalThis.Highlight) CSS.highlights.set("found", new Highlight(...ranges));

  const bar = document.createElement("div");
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Unmark (Esc)" });
  bar.className = "found d-print-none";
  bar.append(`Marked: ${words.join(", ")} `, button);
  const unmark = () => {
    globalThis.CSS.highlights?.delete("found");
    bar.remove();
    const now = new URL(location);
    now.searchParams.delete("highlight");
    history.replaceState(history.state, "", now);
    document.removeEventListener("keydown", onEscape);
  };
  const onEscape = ({ key }) => key === "Escape" && unmark();
  button.addEventListener("click", unmark);
  document.addEventListener("keydown", onEscape);
  article.after(bar);
}));
