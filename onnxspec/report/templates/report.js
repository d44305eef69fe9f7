"use strict";
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const text = (cell) => cell.dataset.v || cell.textContent.trim();
  const value = (cell) => parseFloat(text(cell).replace(/,/g, "").replace("\u2212", "-"));

  // Sort: a button in every heading; what is no number comes last.
  const sort = (table, heading, column) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    all("thead th", table).forEach((th) => th.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0], sign = down ? -1 : 1;
    const keyed = all("tr", body).map((row) => [row, row.cells[column]]);
    const numeric = heading.className === "n" || (column && table.closest(".numbers")) || keyed.some(([, cell]) => cell.dataset.v);
    keyed.sort(([, a], [, b]) => {
      const x = numeric ? value(a) : text(a), y = numeric ? value(b) : text(b);
      const noX = numeric ? isNaN(x) : !x, noY = numeric ? isNaN(y) : !y;
      if (noX || noY) return noX - noY;
      return sign * (numeric ? x - y : x.localeCompare(y, "en", { numeric: true }));
    });
    body.append(...keyed.map(([row]) => row));
  };
  all("table.sortable").forEach((table) => all("thead th", table).forEach((heading, column) => {
    const label = heading.textContent.trim();
    if (label === "log ESD") return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "\u2195";
    button.setAttribute("aria-label", "Sort by " + label);
    button.onclick = () => sort(table, heading, column);
    heading.append(button);
  }));

  // Filter: a text, and the values of whole columns.
  all(".tools").forEach((tools) => {
    tools.hidden = false;
    const search = tools.querySelector("input");
    if (!search) return;
    const table = tools.parentElement.querySelector("table"), rows = all("tr", table.tBodies[0]);
    const names = all("thead th", table).map((th) => th.firstChild.textContent);
    const selects = all("select", tools).map((select) => [select, names.indexOf(select.dataset.column)]);
    selects.forEach(([select, column]) => {
      [...new Set(rows.map((row) => text(row.cells[column]) || "none"))].sort().forEach((name) => {
        const option = document.createElement("option");
        option.textContent = name;
        select.append(option);
      });
    });
    const filter = () => {
      const wanted = search.value.trim().toLowerCase();
      let shown = 0;
      rows.forEach((row) => {
        row.hidden = !row.textContent.toLowerCase().includes(wanted)
          || selects.some(([s, column]) => s.value && (text(row.cells[column]) || "none") !== s.value);
        shown += !row.hidden;
      });
      tools.querySelector(".shown").textContent = shown + " of " + rows.length + " " + (tools.querySelector(".shown").dataset.unit || "layers");
    };
    tools.addEventListener("input", filter);
    filter();
  });

  // Layers: open and close them all; an open one shows its numbers; a link opens the one it leads to.
  all("[data-open]").forEach((button) => {
    button.onclick = () => all("details", button.closest("section")).forEach((d) => { d.open = button.dataset.open === "1"; });
  });
  all(".layer").forEach((layer) => layer.addEventListener("toggle", () => {
    const inside = layer.lastElementChild;
    if (!layer.open || inside.querySelector(".groups")) return;
    const groups = document.createElement("div");
    groups.className = "groups";
    all(".numbers table", layer.closest("article")).forEach((table) => {
      const link = table.querySelector('tbody a[href="#' + inside.id + '"]');
      if (!link) return;
      const group = document.createElement("div"), title = document.createElement("h5"), list = document.createElement("dl");
      title.textContent = table.caption.textContent;
      [...link.closest("tr").cells].forEach((cell, column) => {
        const heading = table.tHead.rows[0].cells[column].querySelector("a");
        if (!heading || !text(cell)) return;
        const name = document.createElement("dt"), number = document.createElement("dd");
        name.append(heading.cloneNode(true));
        number.textContent = text(cell);
        list.append(name, number);
      });
      group.append(title, list);
      groups.append(group);
    });
    inside.querySelector(".told").after(groups);
    const charts = inside.querySelector(".charts");
    if (charts) charts.after(groups);
  }));
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1)), layer = target && target.closest("details");
    if (layer && !layer.open) { layer.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();

  // Explain: a link to the glossary shows its entry beside the pointer.
  const explain = (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#g"]');
    const term = link && !link.title && document.getElementById(link.getAttribute("href").slice(1));
    if (term) link.title = (term.textContent + " " + term.nextElementSibling.textContent).replace(/\s+/g, " ").trim();
  };
  addEventListener("mouseover", explain);
  addEventListener("focusin", explain);
})();
