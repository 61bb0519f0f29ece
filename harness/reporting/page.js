"use strict";

const PAGE = 200; // runs that are listed at once: ten thousand rows would make the browser crawl

/** Numbers before texts, empty cells last in both directions. */
function compare(a, b, direction) {
  const [x, y] = [keyOf(a), keyOf(b)];
  if (x === null || y === null) return (x === null) - (y === null);
  if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
  return direction * (typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true }));
}

/** `−0.5 [−1.2, 0.3]` is −0.5 and `8,551` is 8551. */
function keyOf(value) {
  if (value === null || typeof value === "number") return value;
  const text = value.replaceAll("−", "-").replaceAll(",", "").replace("★", "").trim();
  if (text === "" || text === "–") return null;
  return /^[-+]?\d/.test(text) ? parseFloat(text) : text;
}

/** As in the tables: 8,551 for large numbers, 1e-3 for small ones. */
function textOf(value) {
  if (typeof value !== "number" || value === 0) return value ?? "–";
  return Math.abs(value) < 0.01 ? value.toExponential() : value.toLocaleString("en", { maximumFractionDigits: 4 });
}

/** Sort buttons: `order(column, direction)` is called with 1 or -1, and the heading tells the direction. */
function onSort(table, order) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      order(column, direction);
    });
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  onSort(table, (column, direction) => {
    const text = (row) => row.cells[column].textContent;
    body.append(...[...body.rows].sort((a, b) => compare(text(a), text(b), direction)));
  });
}

/* All runs: filtered and sorted as data, of which the first rows are shown. */
{
  const { columns, filters, rows } = JSON.parse(document.getElementById("runs-data").textContent);
  const [table, form, more] = ["all-runs", "filters", "more"].map((id) => document.getElementById(id));
  const searched = new Map(rows.map((row) => [row, row.join(" ").toLowerCase()]));
  let found = rows;
  let shown = PAGE;

  for (const name of filters) {
    const column = columns.indexOf(name);
    const values = [...new Set(rows.map((row) => row[column]))].sort((a, b) => compare(a, b, 1));
    if (values.length < 2) continue;
    const select = document.createElement("select");
    select.dataset.column = column;
    select.append(new Option("all", ""), ...values.map((value) => new Option(value)));
    const label = document.createElement("label");
    label.append(`${name} `, select);
    form.append(label);
  }

  function show() {
    const list = found.slice(0, shown).map((row) => {
      const line = document.createElement("tr");
      row.forEach((value, column) => {
        const cell = document.createElement(column === 0 ? "th" : "td");
        if (column === 0) cell.scope = "row";
        if (column < 4) cell.className = "text";
        if (columns[column] === "Status") cell.classList.add(value);
        cell.textContent = textOf(value);
        line.append(cell);
      });
      return line;
    });
    table.tBodies[0].replaceChildren(...list);
    const [count, all] = [found.length, rows.length].map((number) => number.toLocaleString("en"));
    const part = shown < found.length ? `, the first ${shown} are shown` : "";
    document.getElementById("count").textContent = `${count} of ${all} runs${part}`;
    more.hidden = shown >= found.length;
  }

  function filter() {
    const words = form.elements.text.value.toLowerCase().split(/\s+/);
    const chosen = [...form.querySelectorAll("select")].filter((select) => select.value !== "");
    found = rows.filter((row) => words.every((word) => searched.get(row).includes(word))
      && chosen.every((select) => String(row[select.dataset.column]) === select.value));
    shown = PAGE;
    show();
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => { shown += PAGE; show(); });
  onSort(table, (column, direction) => {
    rows.sort((a, b) => compare(a[column], b[column], direction));
    filter();
  });
  show();
}

/* What stands behind a score, on hover, focus and touch; Escape closes it. */
{
  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const reveal = (event) => {
    const target = event.target.closest?.("[data-detail]");
    if (!target) return hide();
    tip.textContent = target.dataset.detail;
    tip.hidden = false;
    target.setAttribute("aria-describedby", "tip");
    const [box, size] = [target.getBoundingClientRect(), tip.getBoundingClientRect()];
    const below = box.bottom + 6 + size.height < innerHeight;
    tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - size.width - 4))}px`;
    tip.style.top = `${below ? box.bottom + 6 : Math.max(4, box.top - size.height - 6)}px`;
  };
  for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, reveal);
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, true);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}

addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
