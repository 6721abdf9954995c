// The page as a whole: the state, and what follows from a change of it.

(() => {
  const get = (id) => document.getElementById(id);
  const number = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
  let state = address.read();
  let isBroken = false;

  function show(keep = false) {
    const order = items.select(state);
    wall.show(order, state.size, keep);
    controls.say(order.length);
    address.write(state);
  }

  function open() {
    if (!state.open) return;
    const at = wall.order().findIndex((i) => items.id[i] === state.open);
    if (at >= 0) viewer.show(at);
  }

  // Parts come in quick succession: the first is shown at once, then what has come in the meantime.
  let timer = 0;
  function arrived(error) {
    if (error && !isBroken) {
      isBroken = true;
      tell("A part of this page is missing: it is out of date. Reload it.");
    }
    const isWhole = items.loaded === header.items;
    if (items.loaded <= header.sizes.rows || isWhole) {
      clearTimeout(timer);
      timer = 0;
      redraw(isWhole);
    } else timer ||= setTimeout(() => { timer = 0; redraw(false); }, 400);
  }

  function redraw(isWhole) {
    const hadFocus = document.activeElement?.closest?.("#wall") !== null && document.activeElement !== document.body;
    show(true);
    if (hadFocus && !viewer.isOpen()) wall.focus(wall.current());
    if (!viewer.isOpen() && state.open) open();
    if (isWhole) document.documentElement.dataset.ready = "all";
    else document.documentElement.dataset.ready ||= "some";
  }

  function figure(value, words) {
    return element("div", {}, element("dt", { textContent: words }), element("dd", { textContent: value }));
  }

  const credits = (value) => number.format(value);

  function head() {
    const { costs } = header;
    const written = new Date(header.written_at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    const live = header.is_final ? "" : " A run is under way, or broke off.";
    get("said").append(
      element("span", { textContent: `Images of ${header.origin}. ` }),
      element("span", { textContent: `Written ${written}.` }),
      live ? element("strong", { textContent: live }) : "",
    );
    const list = [figure(number.format(header.images), header.images === 1 ? "image" : "images")];
    const others = header.items - header.images;
    if (others) list.push(figure(number.format(others), "without image"));
    list.push(figure(credits(costs.all.charged), "credits charged"));
    if (costs.all.at_most > costs.all.charged) list.push(figure(credits(costs.all.at_most), "at most"));
    if (costs.stored) list.push(figure(credits(costs.all.charged / costs.stored), "credits an image"));
    get("figures").append(...list);
    get("costs").append(table("outcome", costs.outcomes), table("quality", costs.qualities));
    get("costs-toggle").hidden = !costs.all.posts;
  }

  function table(title, costs) {
    const cells = (tag, values) => values.map((value, at) => element(tag, { textContent: value, className: at ? "" : "name" }));
    const rows = Object.entries(costs).map(([name, cost]) =>
      element("tr", {}, ...cells("td", [name.replace("_", " "), number.format(cost.posts), credits(cost.charged), credits(cost.at_most)])),
    );
    return element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...cells("th", [title, "orders", "credits charged", "at most"]))),
      element("tbody", {}, ...rows),
    );
  }

  function tell(words) {
    const button = element("button", { type: "button", className: "link", textContent: "Reload" });
    button.addEventListener("click", () => location.reload());
    get("news").replaceChildren(words + " ", button);
    get("news").hidden = false;
  }

  // While a run goes on the page is written anew; a person decides when to look at that.
  function watch() {
    if (header.is_final) return;
    const timer = setInterval(() => {
      parts.load("now", "now.js?" + Date.now()).then((written) => {
        if (written === header.written_at) return;
        clearInterval(timer);
        tell("There is a newer version of this page.");
      }, () => {});
    }, 15000);
  }

  const THEMES = ["auto", "light", "dark"];
  function theme(name) {
    document.documentElement.dataset.theme = name;
    get("theme").textContent = "◐ " + name;
    get("theme").setAttribute("aria-label", `Colours: ${name}`);
    try {
      localStorage.setItem("gallery-theme", name);
    } catch { /* a browser may forbid it: then the choice lasts as long as the page */ }
  }
  function remembered() {
    try {
      return localStorage.getItem("gallery-theme");
    } catch {
      return null;
    }
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || viewer.isOpen()) return;
    const isTyping = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
    if (event.key === "/" && !isTyping) {
      event.preventDefault();
      get("search").focus();
      get("search").select();
    } else if (event.key === "Escape" && event.target === get("search")) {
      if (get("search").value) controls.clear();
      else wall.focus(wall.current());
    } else if ((event.key === "Enter" || event.key === "ArrowDown") && event.target === get("search")) {
      event.preventDefault();
      wall.focus(0);
    }
  }

  theme(THEMES.includes(remembered()) ? remembered() : "auto");
  get("theme").addEventListener("click", () => {
    theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
  });
  get("costs-toggle").addEventListener("click", () => {
    get("costs").hidden = !get("costs").hidden;
    get("costs-toggle").setAttribute("aria-expanded", String(!get("costs").hidden));
  });
  get("skip").addEventListener("click", () => wall.focus(0));
  addEventListener("keydown", keys);
  addEventListener("hashchange", () => {
    state = address.read();
    controls.use(state);
    if (viewer.isOpen() && !state.open) viewer.close();
    show();
    open();
  });
  viewer.onChange((id) => {
    state.open = id;
    address.write(state);
  });
  wall.onOpen(viewer.show);
  wall.onWidth(() => wall.show(wall.order(), state.size, true));
  head();
  controls.begin(state, () => {
    scrollTo(0, Math.min(scrollY, get("top").offsetTop));
    show();
  });
  controls.say(0);
  items.load(arrived);
  if (!header.items) document.documentElement.dataset.ready = "all";
  watch();
})();
