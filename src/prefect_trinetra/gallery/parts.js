"use strict";
// What lies beside the page is loaded as scripts: from a folder a browser loads nothing else.

const header = JSON.parse(document.getElementById("header").textContent);

const parts = (() => {
  const NAME = /^(?:(?:rows|records|thumbs)\/[0-9a-f]{16}\.js|now\.js\?[0-9]+)$/;
  const waiting = new Map();

  function checked(address) {
    if (!NAME.test(address)) throw new TypeError("no part of this gallery");
    return address;
  }
  const policy = window.trustedTypes
    ? window.trustedTypes.createPolicy("gallery-parts", { createScriptURL: checked })
    : { createScriptURL: checked };

  window.galleryPart = (name, value) => waiting.get(name)?.(value);

  // The value of a part; rejected where its file is gone, as when a later page has taken this one's place.
  function load(name, address = name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const end = (settle, value) => {
        waiting.delete(name);
        script.remove();
        settle(value);
      };
      waiting.set(name, (value) => end(resolve, value));
      script.onerror = () => end(reject, new Error(name + " can't be loaded"));
      script.src = policy.createScriptURL(address);
      document.head.append(script);
    });
  }
  return { load };
})();

// Thumbnails, a pack at a time. Only what is on the screen is asked for, and only so many packs are kept.
const packs = (() => {
  const AT_ONCE = 6;
  const KEPT = 80;
  const kept = new Map();
  const loading = new Set();
  const broken = new Set();
  let wanted = [];
  let arrived = () => {};

  function next() {
    for (const pack of wanted) {
      if (loading.size >= AT_ONCE) return;
      if (kept.has(pack) || loading.has(pack) || broken.has(pack)) continue;
      loading.add(pack);
      parts.load(header.parts.packs[pack]).then(
        (value) => keep(pack, value),
        () => broken.add(pack),
      ).finally(() => {
        loading.delete(pack);
        arrived(pack);
        next();
      });
    }
  }

  function keep(pack, value) {
    kept.set(pack, value);
    for (const old of kept.keys()) {
      if (kept.size <= KEPT) return;
      if (!wanted.includes(old)) kept.delete(old);
    }
  }

  return {
    onArrival(call) { arrived = call; },
    want(list) { wanted = list; next(); },
    isBroken: (pack) => broken.has(pack),
    // The address of a thumbnail, or null while its pack is not here.
    address(pack, place) {
      const value = kept.get(pack);
      if (value === undefined) return null;
      kept.delete(pack);
      kept.set(pack, value); // used last, dropped last
      return "data:image/webp;base64," + value.webp[place];
    },
  };
})();
