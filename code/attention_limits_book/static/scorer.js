// How the book is searched. Sphinx puts this between its own script and the index.

// A term of the book leads first to the page which introduces it (an entry of the index, 100
// points); of other pages with a word in their text, chapters come before the library, and lists of
// everything come last.
var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
  score: ([page, , , , score]) => {
    if (/^chapters\/(notation|verdicts|references)$/.test(page)) return score - 1;
    return page.startsWith("chapters/") ? score + 1 : score;
  },
};

// Words of one or two letters do not decide, unless there are no others: Sphinx left out a page with
// some of them and not all, such as the halves of "doesn't". Who types several words of a claim is
// led to its card first. Each result takes the words along, for found.js to mark.
{
  const SEVERAL = 4;
  const { _performSearch, htmlToText } = Search;
  const telling = (words) => {
    const long = [...words].filter((word) => word.length > 2);
    return new Set(long.length ? long : words);
  };
  Search._performSearch = (query, terms, excluded, typed, named) => {
    localStorage.removeItem("sphinx_highlight_terms"); // which is for pages with Sphinx's own marks
    const results = _performSearch(query.replace(/[‘’]/g, "'"), telling(terms), excluded, typed, named);
    const isClaim = ([, , anchor]) => named.size >= SEVERAL && anchor.startsWith("#claim-");
    const ordered = [...results.filter((one) => !isClaim(one)), ...results.filter(isClaim)]; // the best last
    const words = new URLSearchParams({ highlight: [...telling(typed)].join(" ") });
    for (const result of ordered) result[2] = `?${words}${result[2]}`;
    return ordered;
  };
  // The name of a module has dots, which are no classes.
  Search.htmlToText = (page, anchor) => {
    const id = anchor.split("#")[1];
    return htmlToText(page, id && `#${CSS.escape(id)}`);
  };
}
