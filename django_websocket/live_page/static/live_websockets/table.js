"use strict";

/** The rows of a page. Each stays the same element for as long as it is shown, so that a focus in it stays, too. */
window.LiveTable = class {
  /** `onUser(row)` and `onClose(row)` are called for its buttons. */
  constructor(root, { onUser, onClose }) {
    this.table = root.querySelector("#live-table");
    this.body = this.table.tBodies[0];
    this.template = root.querySelector("#live-row").content.firstElementChild;
    this.empty = root.querySelector("#live-empty");
    this.scroll = root.querySelector("#live-scroll");
    this.onUser = onUser;
    this.onClose = onClose;
    this.shown = new Map();
  }

  show(rows, query) {
    const focused = document.activeElement;
    const before = this.shown;
    this.shown = new Map();
    let place = this.body.firstElementChild;
    for (const row of rows) {
      const entry = before.get(row.id) ?? this.make();
      before.delete(row.id);
      this.shown.set(row.id, entry);
      this.fill(entry, row);
      if (entry.element === place) place = place.nextElementSibling;
      else this.body.insertBefore(entry.element, place);
    }
    for (const { element } of before.values()) {
      const held = element.contains(focused);
      element.remove();
      if (held) this.scroll.focus({ preventScroll: true });
    }
    // An element that is moved loses the focus.
    if (focused !== document.activeElement && this.body.contains(focused)) focused.focus({ preventScroll: true });
    this.empty.hidden = rows.length > 0;
    this.showOrder(query);
  }

  make() {
    const element = this.template.cloneNode(true);
    const entry = { element, row: null, cells: new Map(), texts: new Map() };
    for (const cell of element.querySelectorAll("[data-column]")) {
      entry.cells.set(cell.dataset.column, cell.querySelector("button") ?? cell);
    }
    entry.cells.get("user").addEventListener("click", () => this.onUser(entry.row));
    entry.close = element.querySelector(".live-action button");
    entry.close?.addEventListener("click", () => this.onClose(entry.row));
    return entry;
  }

  fill(entry, row) {
    entry.row = row;
    entry.element.dataset.pid = row.pid;
    for (const [name, cell] of entry.cells) {
      const text = window.LiveFormats.cells[name](row);
      if (entry.texts.get(name) === text) continue;
      entry.texts.set(name, text);
      cell.textContent = text;
      if (name === "path" || name === "view" || name === "groups") cell.title = text;
    }
    const user = entry.cells.get("user");
    user.hidden = !row.user;
    user.disabled = !row.user_id;
    user.setAttribute("aria-label", `Show only user ${row.user}`);
    entry.close?.setAttribute("aria-label", `Close ${row.path}${row.user ? ` of ${row.user}` : ""}…`);
  }

  showOrder(query) {
    for (const head of this.table.tHead.querySelectorAll("[data-column]")) {
      const sorted = head.dataset.column === query.sort;
      if (sorted) head.setAttribute("aria-sort", query.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
      head.querySelector(".live-arrow").textContent = sorted ? (query.descending ? "▼" : "▲") : "";
    }
  }
};
