// The figures with sliders of a page: when they are drawn, and what its address says of them.
// A classic script, because a page opened from disk may not load modules.
(() => {
  "use strict";
  const here = document.currentScript.src;

  let vega;
  const loadVega = () =>
    (vega ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL("vega.js", here);
      script.onload = () => resolve(window.attentionLimitsVega);
      script.onerror = () => reject(new Error("vega.js did not load"));
      document.head.append(script);
    }));

  // Once the hand rests: browsers refuse a page that rewrites its address too often. A link that was
  // followed meanwhile is newer than the hand, even if the page has yet to hear of it.
  let resting;
  const remember = (figure) => (state) => {
    clearTimeout(resting);
    const { hash } = location;
    resting = setTimeout(() => {
      if (location.hash === hash) history.replaceState(history.state, "", `#${figure.id}?${state}`);
    }, 200);
  };

  // #id?d_model=4096&c=2 shows that figure in that state: a link that a teacher can share.
  const followLink = async () => {
    clearTimeout(resting);
    const [, id, query] = /^#([\w-]+)\?(.*)$/.exec(location.hash) ?? [];
    const figure = id && document.getElementById(id);
    if (!figure?.explorable) return;
    await figure.explorable.draw();
    await figure.explorable.follow(query);
    // On a phone it is taller than the window: then from its title on, unless something is to be said.
    const note = figure.querySelector(".explorable-note");
    if (figure.offsetHeight <= innerHeight) figure.scrollIntoView({ block: "center" });
    else if (note.textContent) note.scrollIntoView({ block: "center" });
    else figure.scrollIntoView({ block: "start" });
  };

  // From disk, a script may not read the pages that it would quote beneath each result of a search.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        target.explorable.draw();
      }
    },
    { rootMargin: "600px" },
  );
  for (const figure of document.querySelectorAll("figure.explorable")) {
    const live = explorable.enliven(figure, loadVega, remember(figure));
    figure.addEventListener("focusin", live.draw, { once: true });
    near.observe(figure);
  }
  window.addEventListener("hashchange", followLink);
  followLink();
})();
