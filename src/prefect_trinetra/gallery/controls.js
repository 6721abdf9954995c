// The bar: what can be chosen, from what the header says there is.

const controls = (() => {
  const get = (id) => document.getElementById(id);
  const number = new Intl.NumberFormat("en");
  const LABELS = { reason_class: "reason", aspect_ratio: "ratio", output_format: "format asked", n: "images a job" };
  let state;
  let changed = () => {};

  const label = (name) => (LABELS[name] ?? name).replaceAll("_", " ");

  function chip(text, count, isOn, toggle, kind) {
    const button = element("button", { type: "button", className: "chip" }, text);
    if (count !== null) button.append(" ", element("span", { className: "number", textContent: number.format(count) }));
    button.setAttribute("aria-pressed", String(isOn()));
    button.dataset.kind = kind;
    button.addEventListener("click", () => {
      toggle();
      update();
    });
    button.refresh = () => button.setAttribute("aria-pressed", String(isOn()));
    return button;
  }

  function outcomeChips() {
    for (const name of header.outcome_names) {
      if (!header.outcomes[name]) continue;
      const toggle = () => state.outcomes.delete(name) || state.outcomes.add(name);
      get("outcomes").append(
        chip(name.replace("_", " "), header.outcomes[name], () => state.outcomes.has(name), toggle, name),
      );
    }
  }

  function flagChips() {
    const flags = [["suspect", "suspect", header.suspects], ["near", "near-duplicate", header.near_duplicates]];
    for (const [name, text, count] of flags) {
      if (count) get("outcomes").append(chip(text, count, () => state[name], () => { state[name] = !state[name]; }, name));
    }
  }

  function selects() {
    for (const [name, values] of Object.entries(header.choices)) {
      const select = element("select", {}, element("option", { value: "any", textContent: "any" }));
      values.forEach((value, at) => {
        select.append(element("option", { value: String(at), textContent: value === "" ? "none" : value }));
      });
      select.addEventListener("change", () => {
        if (select.value === "any") state.choices.delete(name);
        else state.choices.set(name, values[Number(select.value)]);
        update();
      });
      select.refresh = () => {
        select.value = state.choices.has(name) ? String(values.indexOf(state.choices.get(name))) : "any";
        select.classList.toggle("on", state.choices.has(name));
      };
      get("choices").append(element("label", { dir: "auto" }, label(name) + " ", select));
    }
  }

  function refresh() {
    if (get("search").value.trim() !== state.search) get("search").value = state.search;
    get("sort").value = state.sort;
    get("sort").classList.toggle("on", Boolean(state.sort));
    for (const button of get("size").children) button.setAttribute("aria-pressed", String(button.value === state.size));
    for (const made of document.querySelectorAll(".chip, #choices select")) made.refresh();
    const chosen = state.choices.size;
    get("fold").textContent = chosen ? `Filters (${chosen})` : "Filters";
    get("clear").hidden = !address.isFiltered(state);
  }

  function update() {
    refresh();
    changed();
  }

  function clear() {
    Object.assign(state, { search: "", outcomes: new Set(), choices: new Map(), suspect: false, near: false });
    get("search").value = "";
    update();
  }

  function begin(first, call) {
    state = first;
    changed = call;
    const names = Object.values(header.texts).map(label);
    get("search").placeholder = names.length ? "Search prompts, " + names.join(", ") : "Search prompts";
    outcomeChips();
    flagChips();
    selects();
    let typing = 0;
    get("search").addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => {
        state.search = get("search").value.trim();
        update();
      }, 80);
    });
    get("sort").addEventListener("change", () => {
      state.sort = get("sort").value;
      update();
    });
    get("size").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      state.size = button.value;
      update();
    });
    get("clear").addEventListener("click", () => {
      clear();
      get("search").focus();
    });
    refresh();
    get("bar").addEventListener("submit", (event) => event.preventDefault());
    get("fold").addEventListener("click", () => {
      const isOpen = get("bar").classList.toggle("open");
      get("fold").setAttribute("aria-expanded", String(isOpen));
    });
  }

  return {
    begin,
    clear,
    use(newState) {
      state = newState;
      refresh();
    },
    say(shown) {
      const all = header.items === 1 ? "1 frame" : number.format(header.items) + " frames";
      const isAll = shown === header.items;
      get("count").textContent = isAll ? all : `${number.format(shown)} of ${all}`;
      const isLoading = items.loaded < header.items;
      if (isLoading) get("count").textContent += ", loading";
      get("empty").hidden = shown > 0 || isLoading;
      get("empty").textContent = header.items ? "Nothing matches these filters." : "There is nothing to show yet.";
    },
  };
})();
