// Brings the book's figures to life: Vega draws, native inputs move its signals.
// A classic script, because a page opened from disk may not load modules.
(() => {
  "use strict";
  const here = document.currentScript.src;
  const live = (window.explorables ??= new Map()); // id → {view, ready}, for the curious and the tests

  let vega;
  const loadVega = () =>
    (vega ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL("vega.js", here);
      script.onload = () => resolve(window.vegaEmbed);
      script.onerror = () => reject(new Error("vega.js did not load"));
      document.head.append(script);
    }));

  const start = (figure) => {
    if (!live.has(figure.id)) live.set(figure.id, { ready: bringToLife(figure) });
    return live.get(figure.id).ready;
  };

  const bringToLife = async (figure) => {
    const embed = await loadVega();
    const { spec, sliders, presets } = JSON.parse(figure.querySelector("script").textContent);
    const panel = figure.querySelector(".explorable-panel");
    const host = figure.querySelector(".explorable-view");
    const inputs = new Map(sliders.map((s) => [s.name, panel.querySelector(`[data-signal="${s.name}"]`)]));
    const poster = host.firstElementChild;
    const stage = document.createElement("div");
    stage.ariaHidden = "true"; // the host says what there is to see; Vega's own roles have no words
    host.append(stage);
    const { view } = await embed(stage, spec, { mode: "vega", renderer: "svg", actions: false, hover: false, tooltip: false });
    poster.remove();
    live.get(figure.id).view = view;

    const show = (slider) => {
      const input = inputs.get(slider.name);
      const label = slider.labels[input.valueAsNumber];
      const text = `${label} ${label === "1" ? slider.one : slider.unit}`.trim();
      input.setAttribute("aria-valuetext", text);
      input.nextElementSibling.value = text;
      view.signal(slider.name, slider.values[input.valueAsNumber]);
    };
    const render = async () => {
      await view.runAsync();
      for (const span of figure.querySelectorAll("[data-readout]")) {
        const text = view.signal(`readout_${span.dataset.readout}_text`);
        const { unit, one } = span.nextElementSibling.dataset;
        span.textContent = text;
        span.nextElementSibling.textContent = text === "1" ? one : unit;
      }
    };
    // Moves every slider to a value of `state`, or to its start; a value between two stops goes
    // to the nearer one, and whatever is no number is ignored.
    const apply = (state) => {
      for (const slider of sliders) {
        const wanted = Number(String(state[slider.name] ?? "").trim() || NaN);
        const distance = slider.values.map((value) => Math.abs(value - wanted));
        const nearest = distance.indexOf(Math.min(...distance));
        inputs.get(slider.name).value = Number.isFinite(wanted) ? nearest : slider.start;
        show(slider);
      }
      return render();
    };
    const state = () =>
      new URLSearchParams(sliders.map((s) => [s.name, s.values[inputs.get(s.name).valueAsNumber]]));
    // Once the hand rests: browsers refuse a page that rewrites its address too often.
    let resting;
    const remember = () => {
      clearTimeout(resting);
      resting = setTimeout(() => history.replaceState(history.state, "", `#${figure.id}?${state()}`), 200);
    };

    for (const slider of sliders) {
      const input = inputs.get(slider.name);
      input.addEventListener("input", () => (show(slider), render()));
      input.addEventListener("change", remember);
    }
    for (const button of panel.querySelectorAll("[data-preset]")) {
      button.addEventListener("click", () => apply(presets[button.dataset.preset]).then(remember));
    }
    panel.querySelector(".explorable-reset").addEventListener("click", () => apply({}).then(remember));
    figure.addEventListener("explorable-state", (event) => apply(event.detail));
    await apply({});
    // The page's width changes with the window, the sidebar and late mathematics.
    new ResizeObserver(() => view.width(host.clientWidth).runAsync()).observe(host);
    panel.hidden = false;
    figure.dataset.ready = "true";
  };

  // #id?d_model=4096&c=2 shows that figure in that state: a link that a teacher can share.
  const followLink = async () => {
    const [, id, query] = /^#([\w-]+)\?(.*)$/.exec(location.hash) ?? [];
    const figure = id && document.getElementById(id);
    if (!figure?.matches(".explorable")) return;
    await start(figure);
    const detail = Object.fromEntries(new URLSearchParams(query));
    figure.dispatchEvent(new CustomEvent("explorable-state", { detail }));
    figure.scrollIntoView({ block: "center" });
  };

  // From disk, a script may not read the pages that it would quote beneath each result of a search.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  const near = new IntersectionObserver(
    (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => (near.unobserve(e.target), start(e.target))),
    { rootMargin: "600px" },
  );
  for (const figure of document.querySelectorAll("figure.explorable")) near.observe(figure);
  window.addEventListener("hashchange", followLink);
  followLink();
})();
