// Sentences in the chosen language, numbers and times as people there write them. Gateway time everywhere.

let catalogue = {};
let lang = "vi";
let zone = "Asia/Ho_Chi_Minh";

export function setWords(words) { catalogue = words; }
export function setLang(code) { lang = code; document.documentElement.lang = code; formats.clear(); }
export function setZone(name) { zone = name; formats.clear(); }
export function getLang() { return lang; }

export function say(key, values) {
  const entry = catalogue[key];
  if (!entry) return key;
  return entry[lang].replace(/\{(\w+)\}/g, (whole, name) => (values && name in values ? String(values[name]) : whole));
}

export function has(key) { return key in catalogue; }

export function named(name, fallback) {
  return (name && (name[lang] || name.vi || name.en)) || fallback;
}

const formats = new Map();
function format(kind, options) {
  const key = kind + JSON.stringify(options);
  if (!formats.has(key)) {
    const locale = lang === "vi" ? "vi-VN" : "en-GB";
    formats.set(key, kind === "time" ? new Intl.DateTimeFormat(locale, { timeZone: zone, ...options })
      : new Intl.NumberFormat(lang === "vi" ? "vi-VN" : "en-US", options));
  }
  return formats.get(key);
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  const shown = format("number", { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
  return shown.replace("-", "−");
}

// With one decimal only where there is one: 2, 1,2.
export function brief(value) {
  return format("number", { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

export function percent(ratio, digits = 0) {
  if (ratio === null || ratio === undefined) return "–";
  return lang === "vi" ? `${number(ratio * 100, digits)}\u00a0%` : `${number(ratio * 100, digits)}%`;
}

export function clock(ms, seconds = false) {
  if (ms === null || ms === undefined) return "–";
  return format("time", { hour: "2-digit", minute: "2-digit", hour12: false, ...(seconds ? { second: "2-digit" } : {}) })
    .format(new Date(ms)).replace(/^24/, "00");
}

export function day(ms) {
  return format("time", { weekday: "short", day: "2-digit", month: "2-digit" }).format(new Date(ms));
}

// A day as in 2026-03-02: its noon in Vietnam is the same day in most zones.
export function dayOf(text) {
  return day(Date.parse(`${text}T05:00:00Z`));
}

// The date and time of a moment in the site's zone, as a number of minutes: for fields in which people type a time.
export function zoneFields(ms) {
  const parts = {};
  for (const part of new Intl.DateTimeFormat("en-GB", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(new Date(ms))) parts[part.type] = part.value;
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

// The moment that a person means by date and time in the site's zone.
export function fromZone(typed) {
  const guess = Date.parse(`${typed}:00Z`);
  if (Number.isNaN(guess)) return null;
  const shown = Date.parse(`${zoneFields(guess)}:00Z`);
  return guess - (shown - guess);
}

const UNITS = [["d", 86400000], ["h", 3600000], ["min", 60000], ["s", 1000]];

export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const rest = Math.max(0, ms);
  for (let at = 0; at < 3; at += 1) {
    const [large, largeMs] = UNITS[at];
    const [small, smallMs] = UNITS[at + 1];
    const count = Math.floor(rest / smallMs);
    if (count * smallMs < largeMs) continue;
    const per = largeMs / smallMs;
    const minor = count % per;
    const major = say(`duration.${large}`, { n: number(Math.floor(count / per)) });
    return minor ? `${major} ${say(`duration.${small}`, { n: number(minor) })}` : major;
  }
  return say("duration.s", { n: number(Math.floor(rest / 1000)) });
}

// The length of a stop: seconds only where they matter.
export function roughly(ms) {
  return duration(ms >= 600000 ? Math.round(ms / 60000) * 60000 : ms);
}

// From when to when; with the day where that is not today.
export function fromTo(from, to, now, seconds = false) {
  const other = day(from) === day(now) ? "" : `${day(from)} · `;
  return other + say("andon.from_to", { from: clock(from, seconds), to: typeof to === "string" ? to : clock(to, seconds) });
}

// A running time that people read at a distance: 0:42, 12:05, 1:02:09.
export function stopwatch(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
