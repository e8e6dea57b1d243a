// Optional: filters and sorts the tables. The page is complete without it.
"use strict";
for (const table of document.querySelectorAll("table.packages, table.changes")) {
  const body = table.tBodies[0], rows = [...body.rows];
  const value = (row, n) => row.cells[n].dataset.value ?? row.cells[n].textContent;
  [...table.tHead.rows[0].cells].forEach((head, n) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      // First click: largest figure or first word on top. Second: reversed. Third: original order.
      const figure = head.classList.contains("figure");
      const orders = figure ? ["descending", "ascending"] : ["ascending", "descending"];
      const next = orders[orders.indexOf(head.ariaSort) + 1];
      for (const other of table.tHead.rows[0].cells) other.ariaSort = null;
      head.ariaSort = next ?? null;
      const sign = next === "descending" ? -1 : 1;
      const sorted = next ? rows.toSorted((a, b) => sign * (figure
        ? value(a, n) - value(b, n)
        : value(a, n).localeCompare(value(b, n), "en", { numeric: true }))) : rows;
      body.append(...sorted);
    });
  });
}
const filter = document.querySelector(".filter");
filter.hidden = false;
filter.firstChild.addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const row of document.querySelectorAll("table.packages tbody tr")) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
});
// A link to a row opens its details.
const open = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.matches("tr")) target.querySelector("details").open = true;
};
addEventListener("hashchange", open);
open();
