// The page reads without this; with it, a trial under the pointer is shown wherever it is drawn.
"use strict";
(() => {
  const trials = JSON.parse(document.getElementById("trials").textContent);
  const tip = document.getElementById("tip");
  document.documentElement.classList.add("scripted-on");

  // A trial's marks, looked up when it is pointed at for the first time.
  let marks = null;
  const marksOf = (number) => {
    if (!marks) {
      marks = new Map();
      for (const mark of document.querySelectorAll("[data-t]")) {
        if (!marks.has(mark.dataset.t)) marks.set(mark.dataset.t, []);
        marks.get(mark.dataset.t).push(mark);
      }
    }
    return marks.get(number) || [];
  };

  let hot = null;
  const light = (number) => {
    if (number === hot) return;
    for (const mark of hot === null ? [] : marksOf(hot)) mark.classList.remove("hot");
    hot = number;
    for (const mark of number === null ? [] : marksOf(number)) {
      mark.classList.add("hot");
      if (mark.matches("path, polyline")) mark.parentNode.append(mark); // above the others
    }
  };

  // Lines are thin: what is a few pixels beside the pointer is meant, too.
  const AROUND = [[0, 0], [0, 4], [0, -4], [4, 0], [-4, 0], [0, 8], [0, -8]];
  const under = (x, y) => {
    for (const [dx, dy] of AROUND) {
      for (const element of document.elementsFromPoint(x + dx, y + dy)) {
        const mark = element.closest("[data-t]");
        if (mark) return mark;
      }
    }
    return null;
  };

  const show = (event) => {
    const isNear = event.target.closest && event.target.closest("svg, tr[data-t]");
    const mark = isNear ? under(event.clientX, event.clientY) : null;
    light(mark ? mark.dataset.t : null);
    const told = mark && !mark.matches("tr") ? trials[mark.dataset.t] : null;
    tip.hidden = !told;
    if (!told) return;
    const [title, value, words] = told;
    const bold = document.createElement("b");
    bold.textContent = value ? `${title}: ${value}` : title;
    tip.replaceChildren(bold, words);
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - box.width - 8);
    const below = event.clientY + 18;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${below + box.height > innerHeight ? event.clientY - box.height - 12 : below}px`;
  };
  let waiting = null;
  const soon = (event) => {
    if (!waiting) requestAnimationFrame(() => { show(waiting); waiting = null; });
    waiting = event;
  };
  document.addEventListener("pointermove", soon);
  document.addEventListener("pointerdown", soon);
  document.addEventListener("pointerleave", () => { light(null); tip.hidden = true; });

  // Parallel coordinates: a stretch of an axis keeps the lines that cross it there.
  for (const plot of document.querySelectorAll(".parallel")) {
    const lines = [...plot.querySelectorAll("polyline")].map((line) => [
      line, line.getAttribute("points").split(" ").map((point) => +point.split(",")[1]),
    ]);
    const kept = new Map();
    const update = () => {
      for (const [line, heights] of lines) {
        const isIn = [...kept].every(([i, [a, b]]) => heights[i] >= a && heights[i] <= b);
        line.classList.toggle("out", !isIn);
      }
    };
    for (const axis of plot.querySelectorAll(".brush")) {
      let begin = null;
      let chosen = null;
      const at = (event) => event.clientY - axis.getBoundingClientRect().top;
      axis.addEventListener("pointerdown", (event) => {
        begin = at(event);
        axis.setPointerCapture(event.pointerId);
        kept.delete(+axis.dataset.axis);
        if (chosen) chosen.remove();
        chosen = axis.cloneNode();
        chosen.setAttribute("class", "brush chosen");
        chosen.setAttribute("height", 0);
        axis.after(chosen);
        update();
      });
      axis.addEventListener("pointermove", (event) => {
        if (begin === null) return;
        const [a, b] = [begin, at(event)].sort((one, two) => one - two);
        if (b - a < 3) return;
        chosen.setAttribute("y", a);
        chosen.setAttribute("height", b - a);
        kept.set(+axis.dataset.axis, [a, b]);
        update();
      });
      for (const end of ["pointerup", "pointercancel"]) {
        axis.addEventListener(end, () => { begin = null; });
      }
    }
  }

  // Tables: a click on a column's head sorts by it, another one turns it round.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const key = (row, i) => {
      const cell = row.cells[i];
      const text = (cell.dataset.sort ?? cell.textContent).trim();
      const number = Number(text.replaceAll(",", "").replace("−", "-"));
      return text === "" || text === "–" ? null : Number.isNaN(number) ? text : number;
    };
    heads.forEach((head, i) => {
      if (head.matches(".dots")) return;
      head.addEventListener("click", () => {
        const isDown = head.ariaSort === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [key(row, i), row]);
        rows.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return (a < b ? -1 : a > b ? 1 : 0) * (isDown ? -1 : 1);
        });
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  }

  for (const block of document.querySelectorAll("pre.copy")) {
    const around = document.createElement("div");
    around.className = "copied";
    block.replaceWith(around);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () => {
      const text = block.textContent;
      const done = () => { button.textContent = "Copied"; };
      const select = () => getSelection().selectAllChildren(block);
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, select);
      else select();
    });
    around.append(block, button);
  }
})();
