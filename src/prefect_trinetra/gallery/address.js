// What is shown, as the part of the page's address after #: so a view can be kept and passed on.

const address = (() => {
  const SORTS = new Set(["", "new", "old", "dear", "words"]);
  const SIZES = new Set(["s", "", "l"]);

  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const outcomes = (given.get("outcome") ?? "").split(",").filter((name) => header.outcome_names.includes(name));
    const choices = new Map();
    for (const [name, values] of Object.entries(header.choices)) {
      const value = given.get("is." + name);
      if (value !== null && values.includes(value)) choices.set(name, value);
    }
    const among = (set, value) => (set.has(value) ? value : "");
    return {
      search: given.get("q") ?? "",
      outcomes: new Set(outcomes),
      choices,
      suspect: given.has("suspect"),
      near: given.has("near"),
      sort: among(SORTS, given.get("sort") ?? ""),
      size: among(SIZES, given.get("size") ?? ""),
      open: given.get("open"),
    };
  }

  function write(state) {
    const given = new URLSearchParams();
    if (state.search) given.set("q", state.search);
    if (state.outcomes.size) given.set("outcome", [...state.outcomes].join(","));
    for (const [name, value] of state.choices) given.set("is." + name, value);
    if (state.suspect) given.set("suspect", "1");
    if (state.near) given.set("near", "1");
    if (state.sort) given.set("sort", state.sort);
    if (state.size) given.set("size", state.size);
    if (state.open) given.set("open", state.open);
    const hash = given.toString();
    if (hash !== location.hash.slice(1)) history.replaceState(null, "", "#" + hash);
  }

  const isFiltered = (state) =>
    Boolean(state.search || state.outcomes.size || state.choices.size || state.suspect || state.near);

  return { read, write, isFiltered };
})();

// Elements hold the words of others as text only: no markup is ever made of a string.
function element(tag, fields = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...inside.filter((part) => part !== null && part !== undefined));
  return made;
}
