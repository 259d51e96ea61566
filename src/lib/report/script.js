"use strict";
/* The page is whole without this: it sorts and filters tables, copies text, and shows the value
   under a pointer or a finger at once. Nothing is loaded and nothing is kept. */
(function () {
  /* Rows from which on a table gets a field that filters it. */
  const MANY_ROWS = 8;

  function value(row, column) {
    const cell = row.cells[column];
    if (!cell) return "";
    const text = cell.dataset.sort !== undefined ? cell.dataset.sort : cell.textContent.trim();
    const number = Number.parseFloat(text.replace("\u2212", "-"));
    return Number.isNaN(number) ? text : number;
  }

  function compare(a, b) {
    const numbers = typeof a === "number" && typeof b === "number";
    if (numbers) return a - b;
    /* What is undefined stands behind every number. */
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a.localeCompare(b);
  }

  function sort(table, column, heading) {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    rows.sort(function (a, b) {
      const order = compare(value(a, column), value(b, column));
      return up ? order : -order;
    });
    for (const row of rows) body.appendChild(row);
  }

  function makeSortable(table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (heading, column) {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "sort by this column";
      while (heading.firstChild) button.appendChild(heading.firstChild);
      heading.appendChild(button);
      button.addEventListener("click", function () { sort(table, column, heading); });
    });
  }

  /* Headings of groups stay where a row below them does. */
  function filter(table, text) {
    const wanted = text.trim().toLowerCase();
    let group = null;
    let group_name = "";
    for (const row of table.tBodies[0].rows) {
      if (row.classList.contains("group")) {
        group = row;
        group_name = row.textContent.toLowerCase();
        row.hidden = wanted !== "";
        continue;
      }
      const shown = row.textContent.toLowerCase().includes(wanted) || (group !== null && group_name.includes(wanted));
      row.hidden = !shown;
      if (shown && group !== null) group.hidden = false;
    }
  }

  function makeFilterable(table) {
    if (table.tBodies[0].rows.length < MANY_ROWS) return;
    const label = document.createElement("label");
    const field = document.createElement("input");
    label.className = "filter";
    label.textContent = "Rows with";
    field.type = "search";
    label.appendChild(field);
    field.addEventListener("input", function () { filter(table, field.value); });
    const frame = table.parentElement;
    frame.parentElement.insertBefore(label, frame);
  }

  function makeCopied(text) {
    if (!navigator.clipboard) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-button";
    button.textContent = "Copy";
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(text.textContent).then(function () { button.textContent = "Copied"; }, function () {});
    });
    text.parentElement.insertBefore(button, text);
  }

  /* What a pointer rests on, or a finger touches: a mark of a chart, a cell with a title. */
  function valueOf(target) {
    if (!(target instanceof Element)) return "";
    const mark = target.closest(".mark, rect");
    const name = mark && mark.querySelector("title");
    if (name) return name.textContent;
    const cell = target.closest("td");
    return cell && cell.dataset.tip ? cell.dataset.tip : "";
  }

  function showValues() {
    for (const cell of document.querySelectorAll("td[title]")) {
      /* One box shows it, not two. */
      cell.dataset.tip = cell.title;
      cell.removeAttribute("title");
      cell.setAttribute("aria-description", cell.dataset.tip);
    }
    const box = document.createElement("div");
    box.className = "tip";
    box.hidden = true;
    document.body.appendChild(box);
    document.addEventListener("pointerover", function (event) {
      const text = valueOf(event.target);
      box.hidden = text === "";
      if (text === "") return;
      box.textContent = text;
      const room = document.documentElement.clientWidth - box.offsetWidth - 8;
      box.style.left = Math.max(8, Math.min(event.clientX + 12, room)) + "px";
      const below = event.clientY + 16;
      const fits = below + box.offsetHeight < window.innerHeight;
      box.style.top = (fits ? below : Math.max(8, event.clientY - box.offsetHeight - 12)) + "px";
    });
  }

  /* A printed page has nobody to open what is folded away. */
  function openForPrint() {
    let opened = [];
    window.addEventListener("beforeprint", function () {
      opened = Array.from(document.querySelectorAll("details:not([open])"));
      for (const details of opened) details.open = true;
    });
    window.addEventListener("afterprint", function () {
      for (const details of opened) details.open = false;
    });
  }

  /* A link into something folded away opens it. */
  function openTarget() {
    const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  }

  for (const table of document.querySelectorAll("table.sortable")) { makeSortable(table); makeFilterable(table); }
  for (const table of document.querySelectorAll("table.ordered")) makeFilterable(table);
  for (const text of document.querySelectorAll("pre.copy")) makeCopied(text);
  showValues();
  openForPrint();
  openTarget();
  window.addEventListener("hashchange", openTarget);
})();
