// How Sphinx's search ranks what it finds. A term of the book leads first to the page which
// introduces it (an entry of the index, 100 points); of other pages with a word in their text,
// chapters come before the library, and lists of everything come last.
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
