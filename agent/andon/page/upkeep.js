// Maintenance that is due at a machine: one tap says that it was done.

import { button, h, on, openSheet } from "./dom.js";
import { icon } from "./icons.js";
import { dueOf, machineOf, pendingOf } from "./machine.js";
import { site } from "./setup.js";
import { save } from "./sheets.js";
import { dayOf, named, say } from "./words.js";

on({
  "maintenance": (id) => {
    const { page } = machineOf(id);
    const rows = page ? dueOf(page, pendingOf(id)) : [];
    openSheet(say("andon.maintenance", { n: rows.length }), rows.length ? h("ul", { class: "rows" }, rows.map((row) => h("li", null,
      h("div", { class: "entry-words" },
        h("b", null, named(site().tasks[row.task], row.task)),
        h("span", { class: row.state === "overdue" ? "bad-words" : "" }, say("andon.maintenance_due", { due: dayOf(row.due), until: dayOf(row.until) }),
          row.state === "overdue" ? ` · ${say("andon.maintenance_overdue")}` : "")),
      button("maintained", say("andon.maintenance_done"), { arg: `${id} ${row.due} ${row.task}`, icon: icon("check"), className: "strong" }))))
      : h("p", { class: "soft" }, say("andon.maintenance_none")), { wide: true, name: "maintenance" });
  },
  "maintained": (arg) => {
    const [id, due, ...key] = arg.split(" ");
    const value = key.join(" ");
    save(id, { kind: "maintained", value, due }, say("andon.maintained", { what: named(site().tasks[value], value) }));
  },
});
