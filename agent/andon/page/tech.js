// For the technician at the cabinet: devices, tags with their last values, clock, outbox.

import { button, fill, h, on } from "./dom.js";
import { icon } from "./icons.js";
import { clock, duration, has, number, say } from "./words.js";

let timer = 0;

export function techSkeleton() {
  return h("main", { class: "tech" }, h("div", { "data-part": "tech" }, h("p", { class: "soft" }, say("andon.loading"))));
}

export function startTech(root, device) {
  clearInterval(timer);
  const refresh = async () => {
    if (!root.isConnected) { clearInterval(timer); return; }
    try {
      const answer = await fetch(`/tech.json?device=${encodeURIComponent(device)}`, { cache: "no-store" });
      if (answer.ok) fill(root.querySelector("[data-part=tech]"), tech(await answer.json()));
    } catch (error) { /* the banner says that the gateway is not reached */ }
  };
  refresh();
  timer = setInterval(refresh, 2000);
}

on({ "device": (name) => { location.hash = `#/tech/${encodeURIComponent(name)}`; } });

function tech(content) {
  const { clock: time, outbox, devices, process } = content;
  return h("div", { class: "stack" },
    h("div", { class: "tiles" },
      tile(say("andon.tech.clock"), say(`clock.by.${time.by}`), time.trusted ? "" : "bad",
        [say("andon.tech.gateway_time", { at: clock(content.now_ms, true) }), say("andon.tech.system_off", { s: number(time.wall_error_s, 1) }),
          time.held_rows ? say("andon.tech.held", { n: number(time.held_rows) }) : ""]),
      tile(say("andon.tech.outbox"), outbox.connected === null ? say("andon.tech.no_center") : say(outbox.connected ? "andon.tech.connected" : "andon.tech.not_connected"),
        outbox.trouble || outbox.connected === false ? "bad" : "",
        [outbox.connected === null ? "" : say("andon.tech.waiting", { n: number(outbox.waiting) }),
          outbox.connected !== null && outbox.oldest_ms ? say("andon.tech.oldest", { at: clock(outbox.oldest_ms) }) : "",
          outbox.mb === null || outbox.mb === undefined ? "" : say("andon.tech.size", { mb: number(outbox.mb, 1) }), outbox.trouble]),
      tile(say("andon.tech.agent"), content.version || "–", "",
        [say("andon.tech.uptime", { t: duration(process.uptime_s * 1000) }), say("andon.tech.memory", { mb: number(process.rss_mb, 0) })])),
    h("div", { class: "card" }, h("h2", null, say("andon.tech.devices")),
      h("table", { class: "devices" },
        h("thead", null, h("tr", null, ["device", "condition", "reads", "failures", "late", "age"].map((key) => h("th", null, say(`andon.tech.column.${key}`))))),
        h("tbody", null, devices.map((item) => h("tr", { class: item.condition === "up" ? "" : "bad" },
          h("td", null, button("device", item.id, { arg: item.id, className: item.id === content.device ? "link on" : "link" })),
          h("td", null, say(`andon.tech.is.${item.condition}`), item.error && item.condition !== "up" ? h("small", { class: "bad-words", title: item.error }, why(item)) : null),
          h("td", null, number(item.reads)), h("td", null, number(item.failures)),
          h("td", null, item.late_p99_s === null ? "–" : `${number(item.late_p99_s * 1000)} ms`),
          h("td", null, item.age_s === null ? "–" : `${number(item.age_s, 1)} s`)))))),
    content.device ? h("div", { class: "card" }, h("h2", null, say("andon.tech.tags", { device: content.device })),
      h("table", null,
        h("thead", null, h("tr", null, ["tag", "value", "quality", "age"].map((key) => h("th", null, say(`andon.tech.column.${key}`))))),
        h("tbody", null, content.tags.map((tag) => h("tr", { class: ["stale", "bad", "gap"].includes(tag.quality) ? "bad" : "" },
          h("td", null, tag.name), h("td", { class: "value" }, shown(tag.value)),
          h("td", null, say(`andon.tech.quality.${tag.quality}`)),
          h("td", null, tag.age_s === null ? "–" : `${number(tag.age_s, 1)} s`)))))) : h("p", { class: "soft" }, icon("next", "icon small"), say("andon.tech.choose")));
}

// In the words of `nhip check`; the log's own where there are none.
function why(item) {
  const key = item.fault ? `fault.${item.fault.code}` : "";
  return has(key) ? say(key, item.fault.values) : item.error;
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return say(value ? "andon.tech.on" : "andon.tech.off");
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(7))) : String(value);
}

function tile(title, value, kind, lines) {
  return h("div", { class: `tile ${kind}` }, h("h2", null, title), h("div", { class: "figure small" }, h("b", null, value)),
    lines.filter(Boolean).map((line) => h("p", { class: "soft" }, line)));
}
