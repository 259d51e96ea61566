"use strict";
/* The page is whole without this: it sorts and filters tables, copies text, and shows the value
   under a pointer or a finger at once. Nothing is loaded and nothing is kept. */
(function () {
  /* Rows from which on a table gets a field that filters it. */
  const MANY_ROWS = 8;

  /* How far from a line without marks, in its own pixels, a pointer is shown the nearest value. */
  const REACH = 16;
  /* A cell that is a number as a whole, with its deviation, its interval or its unit: "2026-01" is none. */
  const NUMBER = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?:\s*(?:±.*|\[.*\]|to [-+]?[\d.]+|%|s))?$/i;

  /* A number, a text, or null for what is undefined. */
  function value(row, column) {
    const cell = row.cells[column];
    if (!cell) return null;
    const text = cell.dataset.sort !== undefined ? cell.dataset.sort : cell.textContent.trim();
    if (text === "" || text.startsWith("\u2013")) return null;
    const number = NUMBER.exec(text.replace("\u2212", "-"));
    return number ? Number(number[1]) : text;
  }

  /* Numbers stand before texts and what is undefined last, upwards and downwards. */
  function compare(a, b, direction) {
    function rank(v) { return v === null ? 2 : typeof v === "number" ? 0 : 1; }
    if (a === null || typeof a !== typeof b) return rank(a) - rank(b);
    const order = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    return direction * order;
  }

  function sort(table, column, heading) {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    rows.sort(function (a, b) { return compare(value(a, column), value(b, column), up ? 1 : -1); });
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

  /* The value of a chart's lines without marks that is nearest to a place on the screen. */
  function nearestValue(chart, x, y) {
    const matrix = chart.getScreenCTM();
    if (!matrix) return "";
    const at = new DOMPoint(x, y).matrixTransform(matrix.inverse());
    let best = REACH;
    let text = "";
    for (const line of chart.querySelectorAll("polyline[data-values]")) {
      let k = 0;
      for (const point of line.points) {
        const distance = Math.hypot(point.x - at.x, point.y - at.y);
        if (distance < best) {
          best = distance;
          const pair = line.dataset.values.split(";")[k].split(" ");
          text = line.dataset.name + ", " + line.parentElement.dataset.x + " " + pair[0] + ": " + pair[1];
        }
        k += 1;
      }
    }
    return text;
  }

  /* What a pointer rests on, or a finger touches: a mark, a bar or a line of a chart, a cell with a title. */
  function valueOf(target, x, y) {
    if (!(target instanceof Element)) return "";
    const cell = target.closest("td");
    if (cell) return cell.dataset.tip || "";
    const chart = target.closest("svg");
    if (!chart) return "";
    const title = target.querySelector(":scope > title");
    if (title) {
      /* One box shows it, not two. */
      target.dataset.tip = title.textContent;
      title.remove();
    }
    const isLine = target.tagName === "polyline";
    return (!isLine && target.dataset.tip) || nearestValue(chart, x, y) || target.dataset.tip || "";
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
    function show(event) {
      const text = valueOf(event.target, event.clientX, event.clientY);
      box.hidden = text === "";
      if (text === "") return;
      box.textContent = text;
      const room = document.documentElement.clientWidth - box.offsetWidth - 8;
      box.style.left = Math.max(8, Math.min(event.clientX + 12, room)) + "px";
      const below = event.clientY + 16;
      const fits = below + box.offsetHeight < window.innerHeight;
      box.style.top = (fits ? below : Math.max(8, event.clientY - box.offsetHeight - 12)) + "px";
    }
    document.addEventListener("pointerover", show);
    /* Along a line the value changes while the pointer stays on the chart. */
    document.addEventListener("pointermove", function (event) {
      if (event.target instanceof Element && event.target.closest("svg")) show(event);
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
