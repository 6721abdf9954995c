// All items, a column each, filled as the parts arrive; and which of them a person wants to see, in which order.

const items = (() => {
  const count = header.items;
  const column = (Kind, nothing) => new Kind(count).fill(nothing);
  const all = {
    loaded: 0,
    here: new Uint8Array(count),
    id: new Array(count),
    prompt: new Array(count),
    reason: new Array(count),
    outcome: new Uint8Array(count),
    ratio: column(Float32Array, 1),
    pack: column(Int32Array, -1),
    place: new Uint8Array(count),
    image: new Uint8Array(count),
    suspect: new Uint8Array(count),
    near: new Uint8Array(count),
    credits: column(Float64Array, NaN),
    at: column(Float64Array, NaN),
    choices: {},
    texts: {},
  };
  for (const name of Object.keys(header.choices)) all.choices[name] = column(Int16Array, -1);
  for (const name of header.texts) all.texts[name] = new Array(count);
  const searched = new Array(count);

  function put(start, part) {
    const size = part.id.length;
    for (let i = 0, at = start; i < size; i++, at++) {
      all.id[at] = part.id[i];
      all.prompt[at] = part.prompt[i] ?? "";
      all.reason[at] = part.reason[i];
      all.outcome[at] = part.outcome[i];
      all.ratio[at] = part.width[i] / part.height[i];
      all.pack[at] = part.pack[i] ?? -1;
      all.place[at] = part.place[i] ?? 0;
      all.image[at] = part.image[i];
      all.suspect[at] = part.suspect[i];
      all.near[at] = part.near[i];
      all.credits[at] = part.credits[i] ?? NaN;
      all.at[at] = part.at[i] ?? NaN;
      all.here[at] = 1;
    }
    for (const name in all.choices) all.choices[name].set(part.choices[name], start);
    for (const name in all.texts) part.texts[name].forEach((value, i) => { all.texts[name][start + i] = value; });
    all.loaded += size;
  }

  // Loads every part, the first ones first; `each` is told after each, and with an error where one is gone.
  function load(each) {
    const names = header.parts.rows;
    let next = 0;
    const one = () => {
      const number = next++;
      if (number >= names.length) return;
      parts.load(names[number]).then((part) => {
        put(number * header.sizes.rows, part);
        each(null);
      }, each).finally(one);
    };
    for (let i = 0; i < 4; i++) one();
  }

  function words(i) {
    if (searched[i] === undefined) {
      const texts = Object.values(all.texts).map((column) => column[i]);
      searched[i] = [all.prompt[i], all.reason[i] ?? "", ...texts].join("\n").toLowerCase();
    }
    return searched[i];
  }

  function tests(state) {
    const list = [];
    if (state.outcomes.size) {
      const wanted = header.outcome_names.map((name) => state.outcomes.has(name));
      list.push((i) => wanted[all.outcome[i]]);
    }
    for (const [name, value] of state.choices) {
      const number = header.choices[name].indexOf(value);
      list.push((i) => all.choices[name][i] === number);
    }
    if (state.suspect) list.push((i) => all.suspect[i]);
    if (state.near) list.push((i) => all.near[i]);
    for (const term of state.search.toLowerCase().split(/\s+/).filter(Boolean)) {
      list.push((i) => words(i).includes(term));
    }
    return list;
  }

  const ORDERS = {
    new: (a, b) => last(all.at[b], all.at[a]) || a - b,
    old: (a, b) => last(-all.at[b], -all.at[a]) || a - b,
    dear: (a, b) => last(all.credits[b], all.credits[a]) || a - b,
    words: (a, b) => (all.prompt[a] < all.prompt[b] ? -1 : all.prompt[a] > all.prompt[b] ? 1 : a - b),
  };
  // Largest first; what has no value comes last.
  function last(one, other) {
    if (Number.isNaN(one)) return Number.isNaN(other) ? 0 : -1;
    return Number.isNaN(other) ? 1 : one - other;
  }

  // The numbers of the items that a state shows, in its order.
  function select(state) {
    const checks = tests(state);
    const found = new Int32Array(count);
    let size = 0;
    outer: for (let i = 0; i < count; i++) {
      if (!all.here[i]) continue;
      for (const check of checks) if (!check(i)) continue outer;
      found[size++] = i;
    }
    const chosen = found.subarray(0, size);
    return ORDERS[state.sort] ? chosen.sort(ORDERS[state.sort]) : chosen;
  }

  // The number on its edge, as on film: row 12, of whose images the second is 12A; of repeats, 12/1.
  function frame(i) {
    const [row, sample, index] = all.id[i].split("-").map(Number);
    return row + (sample ? "/" + sample : "") + (index ? String.fromCharCode(64 + index) : "");
  }

  return Object.assign(all, { load, select, frame, outcomeOf: (i) => header.outcome_names[all.outcome[i]] });
})();
