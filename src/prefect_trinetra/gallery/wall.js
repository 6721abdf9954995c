// The pictures in rows of even height, as a photographer lays out prints. Only what is on the screen exists.

const wall = (() => {
  const HEIGHTS = { s: 110, "": 180, l: 300 };
  const CAPTION = 30;
  const NARROWEST = 0.5;
  const WIDEST = 2.6;
  const box = document.getElementById("wall");
  const tiles = new Map(); // by position
  let order = new Int32Array(0);
  let rows = []; // {first, end, top, height, scale}
  let lefts = new Float32Array(0);
  let widths = new Float32Array(0);
  let current = 0;
  let opened = () => {};
  let isDrawn = false;

  const shape = (i) => Math.min(WIDEST, Math.max(NARROWEST, items.ratio[i] || 1));

  function layout(size) {
    const width = box.clientWidth;
    box.dataset.size = size;
    const isNarrow = width < 620;
    const gap = isNarrow ? 10 : 18;
    const wanted = HEIGHTS[size] * (isNarrow ? 0.72 : 1);
    rows = [];
    lefts = new Float32Array(order.length);
    widths = new Float32Array(order.length);
    let top = 0;
    for (let first = 0; first < order.length; ) {
      let end = first;
      let sum = 0;
      // A row ends where one more picture would make it lower than wanted by more than it is higher now.
      while (end < order.length) {
        const next = sum + shape(order[end]);
        const height = (width - gap * (end - first)) / next;
        if (end > first && height < wanted) {
          const before = (width - gap * (end - first - 1)) / sum;
          if (before - wanted < wanted - height) break;
        }
        sum = next;
        end++;
        if (height < wanted) break;
      }
      const room = width - gap * (end - first - 1);
      const height = Math.min(room / sum, end === order.length ? wanted * 1.1 : wanted * 1.8);
      let left = 0;
      for (let at = first; at < end; at++) {
        lefts[at] = left;
        widths[at] = shape(order[at]) * height;
        left += widths[at] + gap;
      }
      rows.push({ first, end, top, height });
      top += height + CAPTION + gap;
      first = end;
    }
    box.style.height = Math.max(0, top) + "px";
  }

  function rowAt(y) {
    let low = 0;
    let high = rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (rows[middle].top <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function rowOf(position) {
    let low = 0;
    let high = rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (rows[middle].first <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function draw() {
    isDrawn = true;
    const keep = new Set();
    if (rows.length) {
      const seen = -box.getBoundingClientRect().top;
      const margin = innerHeight / 2;
      const first = rowAt(seen - margin);
      const last = rowAt(seen + innerHeight + margin);
      for (let row = first; row <= last; row++) {
        for (let at = rows[row].first; at < rows[row].end; at++) keep.add(at);
      }
    }
    const focused = document.activeElement?.closest?.("#wall .tile");
    if (focused && Number(focused.dataset.at) < order.length) keep.add(Number(focused.dataset.at));
    for (const [at, tile] of tiles) {
      if (!keep.has(at)) {
        tile.remove();
        tiles.delete(at);
      }
    }
    for (const at of keep) if (!tiles.has(at)) tiles.set(at, make(at));
    paint();
  }

  function make(at) {
    const i = order[at];
    const { top, height } = rows[rowOf(at)];
    const outcome = items.outcomeOf(i);
    const print = element("span", { className: "print" });
    const caption = element(
      "span",
      { className: "caption" },
      element("span", { className: "frame", textContent: items.frame(i) }),
      items.suspect[i] ? element("span", { className: "mark", textContent: "suspect" }) : null,
      items.near[i] ? element("span", { className: "mark quiet", textContent: "near-duplicate" }) : null,
      element("span", { className: "words", textContent: items.prompt[i], dir: "auto" }),
    );
    const button = element("button", { type: "button", className: "tile", tabIndex: at === current ? 0 : -1 }, print, caption);
    button.dataset.at = at;
    button.dataset.outcome = outcome;
    button.setAttribute("aria-label", [items.frame(i), items.prompt[i], outcome === "succeeded" ? "" : outcome].filter(Boolean).join(", "));
    const holder = element("div", { className: "holder", role: "listitem" }, button);
    holder.setAttribute("aria-posinset", at + 1);
    holder.setAttribute("aria-setsize", order.length);
    Object.assign(holder.style, { left: lefts[at] + "px", top: top + "px", width: widths[at] + "px" });
    print.style.height = height + "px";
    if (items.pack[i] < 0) blank(print, i, outcome, height);
    place(holder, at);
    return holder;
  }

  // In the order in which they are read, so that Tab and screen readers find them so.
  function place(holder, at) {
    let after = null;
    for (const [other, tile] of tiles) if (other > at && (after === null || other < after[0])) after = [other, tile];
    box.insertBefore(holder, after ? after[1] : null);
  }

  const LINE = 17.4;
  function blank(print, i, outcome, height) {
    print.classList.add("blank");
    const title = items.image[i] ? "No picture" : outcome.replace("_", " ");
    const why = element("span", { className: "why", textContent: items.reason[i] ?? "", dir: "auto" });
    why.style.webkitLineClamp = String(Math.max(1, Math.floor((height - 52) / LINE)));
    print.append(element("span", { className: "outcome", textContent: title }), height > 90 ? why : "");
  }

  // Puts in the thumbnails that are here, and asks for the others.
  function paint() {
    const wanted = new Set();
    for (const [at, holder] of tiles) {
      const i = order[at];
      const print = holder.querySelector(".print");
      if (items.pack[i] < 0 || print.firstChild) continue;
      const source = packs.address(items.pack[i], items.place[i]);
      if (source !== null) {
        print.append(element("img", { alt: "", decoding: "async", draggable: false, src: source }));
      } else if (packs.isBroken(items.pack[i])) {
        print.classList.add("blank");
        print.append(element("span", { className: "why", textContent: "This page is out of date: reload it" }));
      } else wanted.add(items.pack[i]);
    }
    packs.want([...wanted]);
  }

  let isAsked = false;
  function soon() {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      draw();
    });
  }

  // Shows these items; `keep` stays at the same place in the list, else the wall begins anew.
  function show(newOrder, size, keep) {
    order = newOrder;
    for (const tile of tiles.values()) tile.remove();
    tiles.clear();
    if (!keep || current >= order.length) current = 0;
    layout(size);
    draw();
  }

  function focus(position) {
    if (!order.length) return;
    const to = Math.min(order.length - 1, Math.max(0, position));
    const { top, height } = rows[rowOf(to)];
    const sticky = document.getElementById("bar").offsetHeight + 16;
    const y = box.getBoundingClientRect().top + top;
    if (y < sticky) scrollBy(0, y - sticky);
    else if (y + height + CAPTION > innerHeight) scrollBy(0, y + height + CAPTION + 16 - innerHeight);
    const old = tiles.get(current)?.querySelector(".tile");
    if (old) old.tabIndex = -1;
    current = to;
    draw();
    const tile = tiles.get(to).querySelector(".tile");
    tile.tabIndex = 0;
    tile.focus({ preventScroll: true });
  }

  // The picture above or below: of the next row the one that lies under the middle of this one.
  function beside(step) {
    const row = rows[rowOf(current) + step];
    if (!row) return step < 0 ? current : order.length - 1;
    const middle = lefts[current] + widths[current] / 2;
    for (let at = row.first; at < row.end; at++) if (lefts[at] + widths[at] >= middle) return at;
    return row.end - 1;
  }

  const STEPS = {
    ArrowRight: () => current + 1,
    ArrowLeft: () => current - 1,
    ArrowDown: () => beside(1),
    ArrowUp: () => beside(-1),
    Home: () => 0,
    End: () => order.length - 1,
  };
  box.addEventListener("keydown", (event) => {
    if (!STEPS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    focus(STEPS[event.key]());
  });
  box.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    current = Number(tile.dataset.at);
    opened(current);
  });
  addEventListener("scroll", soon, { passive: true });
  packs.onArrival(() => isDrawn && paint());

  return {
    show,
    focus,
    order: () => order,
    current: () => current,
    onOpen(call) { opened = call; },
    onWidth(call) {
      let width = 0;
      new ResizeObserver(() => {
        if (box.clientWidth !== width) {
          width = box.clientWidth;
          call();
        }
      }).observe(box);
    },
  };
})();
