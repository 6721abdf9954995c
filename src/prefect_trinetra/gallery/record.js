// All that is known of one item, in groups.

const record = (() => {
  const ORDER = ["job_id", "credits_charged", "submitted_at", "finished_at", "model"];
  const FILE = ["file_name", "format", "width", "height", "bytes", "sha256", "index", "perceptual_hash"];
  const ASIDE = new Set(["prompt", "files", "outcome", "reason", "suspect", "near_duplicate_of"]);
  const LABELS = {
    job_id: "job",
    credits_charged: "credits",
    submitted_at: "ordered",
    finished_at: "stored",
    file_name: "file",
    sha256: "SHA-256",
    n: "images a job",
    index: "output",
    reason_class: "reason class",
    output_format: "format asked",
  };
  const GROUPS = [
    ["Manifest", () => header.groups.own],
    ["Asked for", () => header.groups.asked.filter((name) => name !== "model")],
    ["Order", () => ORDER],
    ["File", () => FILE],
    ["Row", () => ["row", "sample", "source", "key", "reason_class", "duplicate_of", "outputs_missing"]],
  ];
  const loaded = new Map();

  function load(i) {
    const number = Math.floor(i / header.sizes.records);
    if (!loaded.has(number)) {
      const loading = parts.load(header.parts.records[number]);
      loading.catch(() => loaded.delete(number));
      loaded.set(number, loading);
    }
    return loaded.get(number).then(({ names, rows }) => {
      const values = rows[i % header.sizes.records];
      return new Map(names.map((name, at) => [name, values[at]]).filter(([name, value]) => value !== null && !(name === "outputs_missing" && value === 0)));
    });
  }

  function value(name, raw) {
    if (name.endsWith("_at")) {
      const date = new Date(raw);
      if (!Number.isNaN(date.valueOf())) {
        return element("time", { dateTime: String(raw), title: String(raw), textContent: date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }) });
      }
    }
    if (name === "bytes") return Number(raw).toLocaleString("en");
    return String(raw);
  }

  function group(title, entries) {
    const list = element("dl");
    for (const [name, raw] of entries) {
      const code = ["sha256", "key", "file_name", "job_id", "perceptual_hash"].includes(name) ? "code" : "";
      list.append(
        element("dt", { textContent: LABELS[name] ?? name.replaceAll("_", " "), dir: "auto" }),
        element("dd", { className: code, dir: "auto" }, value(name, raw)),
      );
    }
    return element("section", {}, element("h3", { textContent: title }), list);
  }

  function sections(cells) {
    const left = new Set(cells.keys());
    const made = [];
    const taken = GROUPS.map(([title, names]) => [title, names().filter((name) => left.delete(name))]);
    taken.push(["More", [...left].filter((name) => !ASIDE.has(name))]);
    for (const [title, names] of taken) {
      if (names.length) made.push(group(title, names.map((name) => [name, cells.get(name)])));
    }
    return made;
  }

  function remarks(cells) {
    const outcome = cells.get("outcome");
    const list = [];
    if (outcome !== "succeeded") list.push([outcome.replace("_", " "), cells.get("reason") ?? "no reason given"]);
    else if (cells.has("reason")) list.push(["to note", cells.get("reason")]);
    if (cells.has("suspect")) list.push(["suspect", cells.get("suspect")]);
    if (cells.has("near_duplicate_of")) list.push(["near-duplicate", "nearly equals " + cells.get("near_duplicate_of")]);
    return list.map(([title, words]) =>
      element("p", { className: "remark", dir: "auto" }, element("b", { textContent: title }), " ", String(words)),
    );
  }

  // The original lies beside the gallery's folder. Each part of its name is escaped, so it can lead nowhere else.
  const address = (cells) =>
    cells.has("file_name") ? "../" + String(cells.get("file_name")).split("/").map(encodeURIComponent).join("/") : null;

  return { load, sections, remarks, address };
})();
