/* What runs beside the page once it is there: looks at it in its frame and gives what it found. */
"use strict";

function measured(frame, look) {
  const page = frame.contentDocument;
  const view = frame.contentWindow;
  const all = function (what) { return Array.from(page.querySelectorAll(what)); };
  const isShown = function (e) { return e.getClientRects().length > 0; };

  function luminance(c) {
    const l = c.slice(0, 3).map(function (v) { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2];
  }
  function color(text) {
    const n = text.match(/[\d.]+/g).map(Number);
    return n.length === 3 ? n.concat([1]) : n;
  }
  function ground(element) {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(color(view.getComputedStyle(e).backgroundColor));
    let under = [255, 255, 255];
    for (const over of layers.reverse()) under = under.map(function (u, k) { return over[3] * over[k] + (1 - over[3]) * u; });
    return under;
  }
  function contrast(ink, element) {
    const a = luminance(color(ink)), b = luminance(ground(element));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  function described(e) { return e.tagName + " " + (e.getAttribute("class") || "") + " " + e.textContent.slice(0, 40); }

  /* The worst contrast of text, and of what is drawn: but of the grid, which says nothing. */
  let worst = { contrast: 99, text: "" };
  for (const element of all("body *")) {
    const own = Array.from(element.childNodes).some(function (n) { return n.nodeType === 3 && n.textContent.trim() !== ""; });
    if (!own || !isShown(element) || ["SCRIPT", "STYLE", "title"].includes(element.tagName)) continue;
    const style = view.getComputedStyle(element);
    const found = contrast(element.tagName === "text" ? style.fill : style.color, element);
    if (found < worst.contrast) worst = { contrast: found, text: described(element) };
  }
  let faintest = { contrast: 99, text: "" };
  for (const shape of all("svg :is(polyline, line, rect, path, circle, polygon)")) {
    if ((shape.getAttribute("stroke") || "").toLowerCase() === "#e2e8f0" || !isShown(shape)) continue;
    const style = view.getComputedStyle(shape);
    const inks = [style.fill, style.stroke].filter(function (ink) { return ink !== "none"; });
    const found = Math.max.apply(null, inks.map(function (ink) { return contrast(ink, shape) * Number(style.opacity); }));
    if (found < faintest.contrast) faintest = { contrast: found, text: described(shape) + inks.join(" on ") };
  }

  const root = page.documentElement;
  const wide = all("body *").filter(function (e) {
    return !e.closest(".scroll, pre, svg") && e.getBoundingClientRect().right > root.clientWidth + 1;
  }).map(described);
  const cut = all(".scroll, pre").filter(function (e) {
    return isShown(e) && e.scrollWidth > e.clientWidth + 1;
  }).map(function (e) { return (e.getAttribute("aria-label") || e.tagName) + " " + e.scrollWidth + " > " + e.clientWidth; });
  /* What may stand at the end of a printed page with nothing below it. */
  const alone = all("h1, h2, h3, summary, caption, thead, tr.group, h2 + p, h3 + p").filter(function (e) {
    return view.getComputedStyle(e).breakAfter !== "avoid";
  }).map(described);
  const found = {
    width: root.clientWidth, scroll: root.scrollWidth, wide: wide.slice(0, 5), cut: cut.slice(0, 5), worst: worst, faintest: faintest,
    alone: alone.slice(0, 5), closed: all("details:not([open])").length, hidden: all("main [hidden]").filter(isShown).length,
    broken: all("img").filter(function (e) { return e.naturalWidth === 0; }).length,
    requests: view.performance.getEntriesByType("resource").map(function (e) { return e.name; }),
  };
  if (look.scripted) Object.assign(found, { sorts: sorts(), orders: orders(), silent: silent(), filters: filters() });
  return found;

  /* Some column of the first table that can be sorted puts its rows in another order. */
  function sorts() {
    const table = page.querySelector("table.sortable");
    if (!table || table.tBodies[0].rows.length < 2) return true;
    const before = table.tBodies[0].textContent;
    return Array.from(table.querySelectorAll("thead button")).some(function (button) {
      /* The rows may stand in the column's order already, upwards. */
      return [1, 2].some(function () {
        button.click();
        return table.tBodies[0].textContent !== before;
      });
    });
  }

  /* How cells of each kind are sorted, upwards and downwards. */
  function orders() {
    const table = page.querySelector("table.sortable");
    if (!table) return null;
    const row = table.tBodies[0].rows[0];
    const kept = Array.from(table.tBodies[0].rows);
    function order(texts, clicks) {
      table.tBodies[0].replaceChildren.apply(table.tBodies[0], texts.map(function (text) {
        const copy = row.cloneNode(true);
        copy.cells[0].removeAttribute("data-sort");
        copy.cells[0].textContent = text;
        return copy;
      }));
      table.tHead.rows[0].cells[0].removeAttribute("aria-sort");
      for (let k = 0; k < clicks; k += 1) table.querySelector("thead button").click();
      return Array.from(table.tBodies[0].rows).map(function (r) { return r.cells[0].textContent; }).join(", ");
    }
    const names = ["2026-02", "\u2013", "2026-10", "2026-01", "2025-12"];
    const numbers = ["10", "\u2013", "9.5 \u00b1 0.1", "-1", "\u22122", "100 %"];
    const found = [order(names, 1), order(names, 2), order(numbers, 1), order(numbers, 2)];
    table.tBodies[0].replaceChildren.apply(table.tBodies[0], kept);
    return found;
  }

  function told(target, x, y) {
    target.dispatchEvent(new view.PointerEvent("pointerover", { bubbles: true, clientX: x, clientY: y }));
    const box = page.querySelector(".tip");
    return box.hidden ? "" : box.textContent;
  }

  /* Charts, and kinds of marks in them, that say nothing to a pointer, or not the value that is there. */
  function silent() {
    const mute = [];
    for (const chart of all("svg[role=img]").filter(isShown)) {
      const name = chart.getAttribute("aria-label");
      let tried = 0;
      for (const kind of ["path.mark", "rect"]) {
        const mark = chart.querySelector(kind);
        if (!mark) continue;
        tried += 1;
        const title = mark.querySelector("title");
        const wanted = title ? title.textContent : mark.dataset.tip;
        if (!wanted || told(mark, 0, 0) !== wanted) mute.push(kind + " of " + name);
      }
      for (const line of chart.querySelectorAll("polyline[data-values]")) {
        const values = line.dataset.values.split(";");
        const k = Math.floor(values.length / 2);
        const at = line.points[k];
        const on = new view.DOMPoint(at.x, at.y).matrixTransform(chart.getScreenCTM());
        const said = told(chart, on.x, on.y);
        tried += 1;
        /* Where lines meet, another one's value may be as near. */
        if (!/^.+, \S+ -?[\d.]+: -?[\d.]+$/.test(said)) mute.push("line " + line.dataset.name + " of " + name + ": " + said);
      }
      if (tried === 0 && chart.querySelector("polyline[data-name], path.mark, rect")) mute.push(name);
    }
    const cell = page.querySelector("td[data-tip]");
    if (cell && told(cell, 0, 0) !== cell.dataset.tip) mute.push("cells");
    return mute.slice(0, 5);
  }

  /* Fields that leave rows without the words, or hide rows with them. The last one stays filtered. */
  function filters() {
    const wrong = [];
    const fields = all("input[type=search]");
    for (const field of fields) {
      const rows = Array.from(field.parentElement.nextElementSibling.querySelectorAll("tbody tr:not(.group)"));
      const words = rows[rows.length - 1].cells[0].textContent.trim();
      const enter = function (text) { field.value = text; field.dispatchEvent(new view.Event("input")); };
      enter(words);
      const has = function (row) { return row.textContent.toLowerCase().includes(words.toLowerCase()); };
      if (rows.some(function (row) { return has(row) && row.hidden; })) wrong.push(words + " is hidden");
      enter("no such words");
      if (rows.some(function (row) { return !row.hidden; })) wrong.push("rows are left");
      if (look.printed && !rows.every(isShown)) wrong.push("rows are missing on paper");
      if (!look.printed && rows.some(isShown)) wrong.push("rows are shown");
    }
    return { fields: fields.length, wrong: wrong.slice(0, 5) };
  }
}
