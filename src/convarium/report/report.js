// Live charts over the drawn ones, a sortable table, links between both, and the theme button.
"use strict";
(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const views = [];
  const AXIS_PX = 70; // what names beside a square chart take
  let pinned = "";
  let shown = "";
  root.classList.add("js");

  // Theme: the system's until the reader chooses; the choice is kept where the browser allows it.
  const toggle = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const nameToggle = () => { toggle.textContent = isDark() ? "Light" : "Dark"; };
  const keep = (theme) => { try { localStorage.setItem("convarium-theme", theme); } catch { /* private mode */ } };
  try {
    const kept = localStorage.getItem("convarium-theme");
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch { /* private mode */ }
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep(root.dataset.theme);
    nameToggle();
  });
  dark.addEventListener("change", nameToggle);
  nameToggle();

  // One network is shown at a time: the one under the pointer or focus, else the pinned one.
  const linked = (key) => document.querySelectorAll(`[data-net="${key}"]`);
  function show(key) {
    if (key === shown) return;
    if (shown) linked(shown).forEach((node) => node.classList.remove("shown"));
    shown = key;
    if (shown) linked(shown).forEach((node) => node.classList.add("shown"));
    views.forEach((view) => view.signal("picked", shown).runAsync());
  }
  function pin(key) {
    pinned = pinned === key ? "" : key;
    document.querySelectorAll("button[data-pin]").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.dataset.pin === pinned)));
    document.querySelectorAll("[data-net]").forEach((node) =>
      node.classList.toggle("pinned", node.dataset.net === pinned));
    show(pinned);
  }
  document.querySelectorAll("[data-net]").forEach((node) => {
    const key = node.dataset.net;
    node.addEventListener("mouseenter", () => show(key));
    node.addEventListener("mouseleave", () => show(pinned));
    node.addEventListener("focusin", () => show(key));
    node.addEventListener("focusout", () => show(pinned));
    node.addEventListener("click", (event) => { if (!event.target.closest("a")) pin(key); });
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") pin(pinned); });

  // Charts come alive when they come near the screen; the drawn one stays if that fails.
  async function enliven(figure) {
    const spec = data.specs[figure.dataset.chart];
    const live = figure.querySelector(".live");
    live.hidden = false;
    if (data.fluid.includes(figure.dataset.chart)) {
      spec.width = "container";
      spec.autosize = { type: "fit-x", contains: "padding" };
    } else {
      spec.width = spec.height = Math.min(spec.width, live.clientWidth - AXIS_PX);
    }
    const { view } = await vegaEmbed(live, spec, { actions: false, ast: true, renderer: "svg" });
    figure.classList.add("alive");
    if (figure.dataset.linked === undefined) return;
    views.push(view);
    view.addEventListener("mouseover", (_, item) => show(item?.datum?.key ?? pinned));
    view.addEventListener("mouseout", () => show(pinned));
    view.addEventListener("click", (_, item) => { if (item?.datum?.key) pin(item.datum.key); });
    if (shown) view.signal("picked", shown).runAsync();
  }
  const near = new IntersectionObserver((seen) => seen.forEach(({ isIntersecting, target }) => {
    if (!isIntersecting) return;
    near.unobserve(target);
    enliven(target);
  }), { rootMargin: "400px" });
  document.querySelectorAll("figure[data-chart]").forEach((figure) => near.observe(figure));

  // Sorting: the first click takes the column's better end first; what is missing stays last.
  const body = document.querySelector("#results tbody");
  document.querySelectorAll("#results th[data-column]").forEach((head) => {
    head.querySelector("button").addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const down = now ? now === "ascending" : head.hasAttribute("data-descending");
      document.querySelectorAll("#results th").forEach((th) => th.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const at = Number(head.dataset.column);
      const value = (row) => row.cells[at].dataset.sort ?? "";
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const apart = Number(x) - Number(y);
        const order = at === 0 || Number.isNaN(apart) ? x.localeCompare(y) : apart;
        return down ? -order : order;
      };
      body.append(...[...body.rows].sort(compare));
    });
  });

  const copy = document.getElementById("copy");
  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById("command").textContent);
    copy.textContent = "Copied";
  });
})();
