// What the reader believes of each claim. It is kept on her device, and nobody is told.
// Pages leave places for it; who reads without scripts sees the claims and no question.
(() => {
  "use strict";
  const KEY = "attention-limits.beliefs";
  const CHOICES = ["holds", "qualified", "false"];
  let unkept = {}; // where a browser keeps nothing, what was said lasts as long as the page

  const beliefs = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return unkept;
    }
  };
  const keep = (said) => {
    unkept = said;
    try {
      localStorage.setItem(KEY, JSON.stringify(said));
    } catch {
      // private windows may refuse
    }
    show();
  };

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  const ask = (place, number) => {
    const claim = place.dataset.claim;
    const options = CHOICES.map((choice) => {
      const input = element("input", { type: "radio", name: `belief-${number}`, value: choice });
      input.addEventListener("change", () => keep({ ...beliefs(), [claim]: choice }));
      return element("label", {}, input, ` ${choice}`);
    });
    const fields = element("fieldset", {}, element("legend", {}, "What do you believe?"), ...options);
    const statement = place.parentElement.querySelector("p");
    statement.id ||= `belief-${number}-claim`;
    fields.setAttribute("aria-describedby", statement.id);
    place.append(fields, element("output", { className: "belief-kept" }));
    place.hidden = false;
  };

  // The card of a claim, and its row in the table of verdicts, say what she said.
  const cards = () => [
    ...[...document.querySelectorAll('.claim[id^="claim-"]')].map((card) => [card.id.slice(6), card]),
    ...[...document.querySelectorAll(".claim-row")].flatMap((row) => {
      const link = row.querySelector('a[href*="#claim-"]');
      return link ? [[link.hash.slice(7), row]] : [];
    }),
  ];

  const showScore = (place, said) => {
    const verdicts = JSON.parse(place.dataset.verdicts);
    const judged = Object.keys(verdicts).filter((claim) => claim in said);
    const right = judged.filter((claim) => said[claim] === verdicts[claim]).length;
    place.hidden = judged.length === 0;
    if (place.hidden) return;
    const forget = element("button", { type: "button", className: "belief-forget" }, "Forget my answers");
    forget.addEventListener("click", () => {
      keep({});
      place.nextElementSibling.tabIndex = -1; // the button goes, and the reader stays where she was
      place.nextElementSibling.focus({ preventScroll: true });
    });
    const count = `You have judged ${judged.length} of ${Object.keys(verdicts).length} claims that have a verdict. `;
    const score = `The book agrees with ${right} of your ${judged.length} answers. `;
    place.replaceChildren(element("p", {}, count, score), forget);
  };

  const show = () => {
    const said = beliefs();
    for (const input of document.querySelectorAll(".belief input")) {
      input.checked = said[input.closest(".belief").dataset.claim] === input.value;
    }
    for (const place of document.querySelectorAll(".belief")) {
      const kept = "Kept in this browser only. You will see it beside the verdict.";
      const told = CHOICES.includes(said[place.dataset.claim]) ? kept : "";
      place.querySelector(".belief-kept").value = told;
    }
    for (const [claim, card] of cards()) {
      card.querySelector(".belief-said")?.remove();
      const badge = card.querySelector(".verdict");
      if (said[claim]) badge.after(element("span", { className: "belief-said" }, `you said: ${said[claim]}`), " ");
    }
    for (const place of document.querySelectorAll(".belief-score")) showScore(place, said);
  };

  document.querySelectorAll(".belief").forEach(ask);
  show();
  window.addEventListener("storage", show); // what she says in another tab
})();
