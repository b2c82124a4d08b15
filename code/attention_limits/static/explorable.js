// Draws a figure with sliders, in the book's pages and in notebooks alike.
// A page loads it as a classic script, since a page opened from disk may not load modules; a kernel
// sends it as a module, with one line more: `export default explorable`.
const explorable = (() => {
  "use strict";
  const RESTING = 500; // milliseconds after the last move until it is told to a screen reader

  const counted = (number, of) => `${number} ${number === "1" ? of.one : of.unit}`.trim();
  const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1) + ".";

  // Numbers as the book writes them: the twin of attention_limits/numerals.py.
  const signed = (text) => text.replace(/^-/, "−");
  const numeral = (number) => {
    if (!Number.isFinite(number)) return Number.isNaN(number) ? "nan" : number < 0 ? "−inf" : "inf";
    const size = Math.abs(number);
    if (size < 1e15 && (Number.isInteger(number) || size >= 1000)) {
      return signed(Math.round(number).toLocaleString("en-US"));
    }
    const [mantissa, power] = number.toExponential(3).split("e").map(Number);
    if (power >= -4 && power < 4) return signed(String(Number(number.toPrecision(4))));
    const superscript = [...String(power)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");
    return signed(mantissa === 1 ? `10${superscript}` : `${mantissa} · 10${superscript}`);
  };

  // Brings a figure to life: its controls at once, its drawing when `draw` was called and Vega has
  // come. `moved` hears where the reader has put the sliders.
  const enliven = (figure, loadVega, moved = () => {}) => {
    const { spec, sliders, presets, drag, table, alt } = JSON.parse(figure.querySelector("script[type]").textContent);
    const part = (name) => figure.querySelector(`.explorable-${name}`);
    const [panel, host, note, status] = ["panel", "view", "note", "status"].map(part);
    const inputs = new Map(sliders.map((s) => [s.name, panel.querySelector(`[data-signal="${s.name}"]`)]));
    const at = (slider) => inputs.get(slider.name).valueAsNumber;
    const live = { view: null };

    // --- What is said ---
    const setting = (stop = at, except) =>
      sliders
        .filter(({ name }) => name !== except)
        .map((slider) => `${slider.label}: ${counted(slider.labels[stop(slider)], slider)}`)
        .join("; ");
    const readouts = () =>
      [...figure.querySelectorAll(".explorable-readouts > div")]
        .map((row) => [...row.children].map((e) => e.textContent.trim().replace(/:$/, "")).join(": "))
        .join("; ");
    const started = setting((slider) => slider.start);
    const sayValue = (slider) => {
      const text = counted(slider.labels[at(slider)], slider);
      inputs.get(slider.name).setAttribute("aria-valuetext", text);
      inputs.get(slider.name).closest(".explorable-slider").querySelector("output").value = text;
    };
    const sayReadouts = () => {
      for (const span of figure.querySelectorAll("[data-readout]")) {
        const text = live.view.signal(`readout_${span.dataset.readout}_text`);
        const { unit, one } = span.nextElementSibling.dataset;
        span.textContent = text;
        span.nextElementSibling.textContent = text === "1" ? one : unit;
      }
    };
    const sayTable = () => {
      const columns = table.columns.map((name) => new Map(live.view.data(name).map((row) => [row.row, row])));
      const body = figure.querySelector("tbody");
      const rows = [...columns[0].keys()].sort((one, other) => one - other);
      body.replaceChildren(
        ...rows.map((row) => {
          const line = document.createElement("tr");
          const cells = columns.map((column) => signed(column.get(row).text ?? numeral(column.get(row).out)));
          for (const text of [table.labels[row], ...cells]) line.insertCell().textContent = text;
          return line;
        }),
      );
      const rest = setting(at, table.along);
      const words = [table.quantity, rest && `For ${rest}`].filter(Boolean);
      figure.querySelector("caption").textContent = words.map(sentence).join(" ");
    };
    const sayAll = () => {
      sayReadouts();
      sayTable();
      const now = setting();
      part("setting").textContent = `Drawn for ${now}.`;
      const read = readouts();
      const moved = `That is how it starts, with ${started}. Now it is drawn for ${now}.`;
      host.ariaLabel = `${alt} ${now === started ? `Drawn for ${now}.` : read ? `${moved} ${sentence(read)}` : moved}`;
    };
    let telling;
    const tell = (words) => {
      clearTimeout(telling);
      telling = setTimeout(() => {
        const said = [words(), readouts()].filter(Boolean);
        status.textContent = said.map(sentence).join(" ");
      }, RESTING);
    };

    // --- What is dragged: the point of two sliders, for a mouse, a finger or a pen ---
    // It is no control of its own: keys and screen readers have the sliders. A finger that begins
    // anywhere else on the chart scrolls the page, since the grip alone keeps gestures to itself.
    const makeGrip = (axes) => {
      const element = document.createElement("span");
      element.className = "explorable-grip";
      element.ariaHidden = "true";
      for (const slider of axes) inputs.get(slider.name).dataset.dragged = "";
      // Where a stop lies in the window, on either axis; to a scale, linear or not, it is a pixel.
      const place = (axis, stop) => {
        const svg = host.querySelector("svg");
        const box = svg.getBoundingClientRect();
        const side = axis ? "top" : "left";
        const plot = live.view.padding()[side] + live.view.origin()[axis];
        const ratio = box.width / svg.width.baseVal.value;
        return box[side] + ratio * (plot + live.view.scale("xy"[axis])(axes[axis].values[stop]));
      };
      const centre = () => axes.map((slider, axis) => place(axis, at(slider)));
      const follow = () => {
        if (!element.isConnected) host.append(element);
        const box = host.getBoundingClientRect();
        const [x, y] = centre();
        element.style.translate = `${x - box.left}px ${y - box.top}px`;
      };
      const send = (kind) => {
        for (const slider of axes) inputs.get(slider.name).dispatchEvent(new Event(kind, { bubbles: true }));
      };
      const pull = (aims) => {
        const before = axes.map(at);
        axes.forEach((slider, axis) => {
          const off = slider.values.map((_, stop) => Math.abs(place(axis, stop) - aims[axis]));
          inputs.get(slider.name).value = off.indexOf(Math.min(...off));
        });
        if (axes.some((slider, axis) => at(slider) !== before[axis])) send("input");
      };
      let held; // how far from the point it was taken
      element.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        element.setPointerCapture(event.pointerId);
        const [x, y] = centre();
        held = [event.clientX - x, event.clientY - y];
      });
      element.addEventListener("pointermove", (event) => {
        if (held) pull([event.clientX - held[0], event.clientY - held[1]]);
      });
      element.addEventListener("lostpointercapture", () => {
        held = undefined;
        send("change");
      });
      return { follow };
    };
    const grip = drag.length ? makeGrip(drag.map((name) => sliders.find((one) => one.name === name))) : null;

    // --- What is drawn ---
    const render = async () => {
      if (!live.view) return; // it will, once it is there
      for (const slider of sliders) live.view.signal(slider.name, slider.values[at(slider)]);
      await live.view.runAsync();
      grip?.follow();
      sayAll();
    };
    const bringVega = async () => {
      const stage = document.createElement("div");
      stage.ariaHidden = "true"; // the host says what there is to see; Vega's own roles have no words
      try {
        const { View, parse } = await loadVega();
        const poster = host.firstElementChild;
        host.append(stage);
        const view = new View(parse(spec), { renderer: "svg", container: stage, hover: false });
        await view.width(host.clientWidth).runAsync();
        poster.remove();
        live.view = view;
      } catch (error) {
        stage.remove();
        panel.hidden = true;
        note.textContent = "The drawing did not load, so the sliders are left out. Loading the page again may help.";
        throw error;
      }
      await render();
      // The width changes with the window, the sidebar and late mathematics.
      const resize = () => live.view.width(host.clientWidth).runAsync().then(() => grip?.follow());
      const watch = new ResizeObserver(() => host.clientWidth && resize());
      watch.observe(host);
      live.close = () => (watch.disconnect(), live.view.finalize());
      figure.dataset.ready = "true";
    };
    live.draw = () => (live.drawn ??= bringVega());

    // --- What the reader does ---
    const state = () => new URLSearchParams(sliders.map((s) => [s.name, s.values[at(s)]]));
    // Moves every slider to the stop nearest to its value, or to its start.
    const put = (values) => {
      for (const slider of sliders) {
        const wanted = values.get(slider.name);
        const distance = slider.values.map((value) => Math.abs(value - wanted));
        const nearest = distance.indexOf(Math.min(...distance));
        inputs.get(slider.name).value = wanted === undefined ? slider.start : nearest;
        sayValue(slider);
      }
      return render();
    };
    // What a link asks for; what it asks in vain is said.
    live.follow = (query) => {
      const values = new Map(), troubles = [];
      for (const [name, text] of new URLSearchParams(query)) {
        if (!name && !text) continue;
        const slider = sliders.find((one) => one.name === name);
        const value = Number(text.trim() || NaN);
        const asked = `“${text.slice(0, 40)}”`;
        if (!slider) troubles.push(`there is no slider “${name.slice(0, 40)}”`);
        else if (!Number.isFinite(value)) troubles.push(`${asked} is no value for ${slider.label}`);
        else {
          values.set(name, value);
          const [low, high] = [slider.values[0], slider.values.at(-1)];
          if (value >= low && value <= high) continue;
          troubles.push(`${asked} is beyond the ends of ${slider.label}`);
        }
        values.delete(name);
      }
      note.textContent = troubles.length
        ? `The link asks for what this figure does not have: ${troubles.join("; ")}. There it starts as usual.`
        : "";
      return put(values);
    };
    const act = (change, words) => {
      note.textContent = "";
      tell(words);
      return change().then(() => moved(state()));
    };
    for (const slider of sliders) {
      const input = inputs.get(slider.name);
      let held; // where it stands while a scroll passes over it
      const release = () => {
        if (held !== undefined && input.value !== held) {
          input.value = held;
          sayValue(slider);
          render();
        }
        held = undefined;
      };
      // A finger that turns out to scroll, and a wheel, which in Firefox turns the slider too.
      input.addEventListener("pointerdown", () => (held = input.value));
      input.addEventListener("pointercancel", release);
      input.addEventListener("pointerup", () => (held = undefined));
      input.addEventListener("wheel", () => ((held = input.value), setTimeout(release)), { passive: true });
      input.addEventListener("input", () => {
        note.textContent = "";
        sayValue(slider);
        live.draw();
        render();
        tell(() => "");
      });
      input.addEventListener("change", () => moved(state()));
    }
    for (const button of panel.querySelectorAll("[data-preset]")) {
      const [label, values] = presets.find(([label]) => label === button.dataset.preset);
      button.addEventListener("click", () => act(() => put(new Map(Object.entries(values))), () => `${label}: ${setting()}`));
    }
    part("reset").addEventListener("click", () => act(() => put(new Map()), () => setting()));
    panel.hidden = false;
    figure.explorable = live; // for the curious and the tests
    return live;
  };

  // --- In a notebook: what anywidget calls ---
  const fromKernel = async (model) => {
    const script = await model.widget_manager.get_model(model.get("vega").replace("IPY_MODEL_", ""));
    const packed = new Blob([script.get("packed")]).stream().pipeThrough(new DecompressionStream("gzip"));
    const address = URL.createObjectURL(new Blob([await new Response(packed).text()], { type: "text/javascript" }));
    await import(address);
    URL.revokeObjectURL(address);
    return globalThis.attentionLimitsVega;
  };
  // Once for all figures of a notebook, each of which is a module of its own.
  const COMING = Symbol.for("attention-limits.vega");
  const sharedVega = (model) =>
    (globalThis[COMING] ??= fromKernel(model).catch((error) => {
      delete globalThis[COMING];
      throw error;
    }));
  const render = async ({ model, el }) => {
    el.innerHTML = model.get("html");
    // JupyterLab has plans of its own for these keys.
    el.addEventListener("keydown", (event) => {
      const ours = event.target.matches("input, button, summary");
      if (ours && /^(Arrow|Home|End|Page|Enter| )/.test(event.key)) event.stopPropagation();
    });
    const live = enliven(el.querySelector("figure"), () => sharedVega(model));
    await live.draw();
    const posters = () => document.querySelectorAll(`figure[data-poster="${model.get("poster")}"]`);
    for (const poster of posters()) poster.hidden = true;
    return () => {
      live.close();
      for (const poster of posters()) poster.hidden = false;
    };
  };

  return { enliven, numeral, render };
})();
