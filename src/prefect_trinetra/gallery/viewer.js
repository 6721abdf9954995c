// One picture at full size, with its record.

const viewer = (() => {
  const get = (id) => document.getElementById(id);
  const dialog = get("viewer");
  let position = -1;
  let changed = () => {};

  function show(at) {
    position = at;
    const order = wall.order();
    const i = order[at];
    get("position").textContent = `${(at + 1).toLocaleString("en")} / ${order.length.toLocaleString("en")}`;
    get("before").disabled = at === 0;
    get("after").disabled = at === order.length - 1;
    get("viewer-title").textContent = items.prompt[i] || "(no prompt)";
    get("viewer-title").dir = "auto";
    get("record").replaceChildren();
    get("stage").replaceChildren(preview(i));
    if (!dialog.open) dialog.showModal();
    record.load(i).then(
      (cells) => position === at && wall.order()[at] === i && fill(i, cells),
      () => position === at && get("record").replaceChildren(said("The record can't be loaded: this page is out of date, reload it.")),
    );
    changed(items.id[i]);
  }

  const said = (words) => element("p", { className: "remark", textContent: words });

  // The thumbnail, until the original is here.
  function preview(i) {
    const source = items.pack[i] < 0 ? null : packs.address(items.pack[i], items.place[i]);
    if (source) return element("img", { className: "preview", alt: "", src: source });
    if (items.image[i]) return element("p", { className: "none", textContent: items.reason[i] ?? "" });
    return element("p", { className: "none" }, element("b", { textContent: items.outcomeOf(i).replace("_", " ") }));
  }

  function fill(i, cells) {
    const source = record.address(cells);
    get("record").replaceChildren(...record.remarks(cells), ...(source ? [link(source)] : []), ...record.sections(cells));
    if (!source) return;
    const image = element("img", { className: "original", alt: items.prompt[i], decoding: "async" });
    image.addEventListener("load", () => {
      if (wall.order()[position] === i) get("stage").replaceChildren(image);
    });
    image.addEventListener("error", () => {
      if (wall.order()[position] !== i) return;
      get("stage").append(element("p", { className: "gone", textContent: `The original can't be loaded from ${cells.get("file_name")}: it is missing or damaged, or this page is not beside it.` }));
    });
    image.src = source;
  }

  const link = (source) =>
    element("p", { className: "original-link" }, element("a", { href: source, target: "_blank", rel: "noreferrer", textContent: "Open the original" }));

  function step(by) {
    const to = position + by;
    if (to >= 0 && to < wall.order().length) show(to);
  }

  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      step(event.key === "ArrowRight" ? 1 : -1);
    }
  });
  dialog.addEventListener("close", () => {
    const at = position;
    position = -1;
    get("stage").replaceChildren();
    changed(null);
    wall.focus(at);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target === get("stage")) dialog.close();
  });
  get("close").addEventListener("click", () => dialog.close());
  get("before").addEventListener("click", () => step(-1));
  get("after").addEventListener("click", () => step(1));

  return {
    show,
    isOpen: () => dialog.open,
    close: () => dialog.close(),
    onChange(call) { changed = call; },
  };
})();
