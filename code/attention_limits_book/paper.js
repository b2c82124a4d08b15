// Puts the pages of the built book behind each other in one; paper.py runs this in Chromium.
async (given) => {
  "use strict";
  const { title, imprint, chapters, site } = given;
  const DEEPEST = 6; // of headings
  const UNPRINTED = "script, .headerlink, .noprint";
  // Attributes that name elements by their ids; in drawings, others do it by url(#…).
  const NAMING = ["for", "headers", "aria-labelledby", "aria-describedby", "aria-controls"];

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const quoted = (text) => `"${text.replace(/["\\]/g, "\\$&").replace(/\s+/g, " ")}"`;
  const addresses = new Map(chapters.map(({ page }) => [`/${page}.html`, page]));
  // Pages name their sections alike: an id has its page before it.
  const placed = (page, id) => (id ? `${page}/${id}` : page);

  const moveLink = (link, address, page) => {
    const target = new URL(link.getAttribute("href"), address);
    if (target.origin !== address.origin) return;
    const led = addresses.get(decodeURIComponent(target.pathname));
    // What follows a question mark there is the state of a figure.
    const [id] = decodeURIComponent(target.hash.slice(1)).split("?");
    if (led) link.setAttribute("href", `#${placed(led, id)}`);
    else if (site) link.setAttribute("href", new URL(target.pathname.slice(1) + target.hash, site));
    else link.replaceWith(...link.childNodes);
  };
  const rename = (article, page) => {
    const change = (one, name, from, to) => {
      if (one.hasAttribute(name)) one.setAttribute(name, one.getAttribute(name).replace(from, to));
    };
    for (const name of NAMING)
      for (const one of article.querySelectorAll(`[${name}]`)) change(one, name, /\S+/g, (id) => placed(page, id));
    for (const one of article.querySelectorAll("svg *"))
      for (const { name } of one.attributes) {
        if (/href$/.test(name)) change(one, name, /^#/, `#${page}/`);
        change(one, name, /url\(#([^)]+)\)/g, (_, id) => `url("#${placed(page, id)}")`);
      }
    for (const one of article.querySelectorAll("[id]")) one.id = placed(page, one.id);
  };

  // Of what pages say themselves, each rule once: their formulas have most of it in common.
  const styles = new Set();
  const keepStyles = (read, address) => {
    for (const sheet of read.head.querySelectorAll("link[rel=stylesheet], style")) {
      if (sheet.localName === "link") styles.add(`@import ${quoted(new URL(sheet.getAttribute("href"), address).href)};`);
      else {
        const rules = new CSSStyleSheet();
        rules.replaceSync(sheet.textContent.replace(/url\("([^"]+)"\)/g, (_, at) => `url("${new URL(at, address).href}")`));
        for (const { cssText } of rules.cssRules) styles.add(cssText);
      }
    }
  };

  const made = [];
  for (const [number, { page, level, part }] of chapters.entries()) {
    const address = new URL(`/${page}.html`, location);
    const answer = await fetch(address);
    const read = new DOMParser().parseFromString(await answer.text(), "text/html");
    keepStyles(read, address);
    const article = read.querySelector("article");
    for (const one of article.querySelectorAll(UNPRINTED)) one.remove();
    for (const picture of article.querySelectorAll("img")) {
      picture.src = new URL(picture.getAttribute("src"), address);
      picture.loading = "eager";
    }
    for (const link of article.querySelectorAll("a[href]")) moveLink(link, address, page);
    rename(article, page);
    for (const heading of article.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
      heading.ariaLevel = Math.min(level + Number(heading.localName[1]) - 1, DEEPEST);
    }
    const first = article.querySelector("h1");
    first.id = placed(page);
    const name = first.textContent;
    if (part) article.prepend(element("h1", { className: "paper-part" }, part));
    article.style.page = `page-${number}`;
    styles.add(`@page page-${number} { @top-right { content: ${quoted(name)}; } }`);
    made.push({ article: document.adoptNode(article), page, level, part, name });
  }

  const cover = element("header", { className: "paper-cover" }, element("p", { className: "paper-title" }, title));
  cover.append(...imprint.map((line) => element("p", {}, line)));
  const contents = element("nav", { className: "paper-contents" }, element("h1", {}, "Contents"));
  for (const { page, level, part, name } of made) {
    if (part) contents.append(element("p", { className: "paper-part" }, part));
    const link = element("a", { href: `#${placed(page)}` }, element("span", {}, name), element("span"));
    contents.append(element("p", { className: `paper-level-${level}` }, link));
  }
  document.title = title;
  const imports = [...styles].sort((one, other) => other.startsWith("@import") - one.startsWith("@import"));
  const style = element("style", {}, imports.join("\n"));
  const styled = new Promise((resolve) => (style.onload = style.onerror = resolve));
  document.head.append(style);
  const content = element("div", { className: "bd-content" }, ...made.map(({ article }) => article));
  document.body.append(cover, contents, content);
  await styled;
  await Promise.allSettled([...document.images].map((picture) => picture.decode())); // who lacks one is told
  await document.fonts.ready;
};
