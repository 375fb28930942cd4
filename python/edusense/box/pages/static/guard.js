"use strict";
// The guard's page. All that it knows comes as events from the box; when they stop, it says so.
const body = document.body;
const words = JSON.parse(body.dataset.words);
const languages = body.dataset.languages.split(" ");
const at = (id) => document.getElementById(id);
const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* asked again the next time */ } };
let language = languages.includes(kept("language")) ? kept("language") : languages[0];
let last = null;                // the newest state
let heard = Date.now();         // when something was heard last
let waiting = null;             // the answer that waits for a name
const cards = new Map();
const word = (key) => (words[key] ? words[key][language] : key);
const finding = (kind) => (words[kind] ? word(kind) : kind.replaceAll("-", " "));

function make(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("ru", { hour12: false });

// Who answers.
function name() { return (kept("by") || "").trim(); }
function ask(then) {
  waiting = then || null;
  at("name").value = name();
  at("who").showModal();
  at("name").focus();
}
at("who").addEventListener("close", () => {
  const given = at("name").value.trim();
  if (given) keep("by", given);
  label();
  const then = waiting;
  waiting = null;
  if (given && then) then();
});
at("by").onclick = () => ask();

async function answer(one, what) {
  if (!name()) { ask(() => answer(one, what)); return; }
  tell("");
  try {
    const done = await fetch("/guard/answer", { method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ case: one, answer: what, by: name() }) });
    if (!done.ok) tell(`${word("failed")}: ${(await done.json().catch(() => ({}))).message || done.status}`);
  } catch { tell(word("failed")); }
}
function tell(text) { at("told").textContent = text; at("told").hidden = !text; }

// Sound: until somebody has answered.
let audio = null;
function tone(frequency, from, length) {
  const voice = audio.createOscillator(), loud = audio.createGain();
  voice.frequency.value = frequency;
  loud.gain.setValueAtTime(0.0001, audio.currentTime + from);
  loud.gain.exponentialRampToValueAtTime(0.35, audio.currentTime + from + 0.02);
  loud.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + from + length);
  voice.connect(loud).connect(audio.destination);
  voice.start(audio.currentTime + from);
  voice.stop(audio.currentTime + from + length);
}
const unanswered = () => (last ? last.cases.filter((one) => !one.answered_s && !over(one)) : []);
function sound() {
  const open = unanswered();
  body.dataset.sounding = open.length ? "yes" : "no";
  if (!open.length) { at("sound").hidden = true; return; }
  try { audio = audio || new AudioContext(); } catch { return; }
  at("sound").hidden = audio.state === "running";
  if (audio.state !== "running") return;
  const grave = open.some((one) => one.severity === "extreme" || one.severity === "severe");
  if (open.every((one) => one.test)) tone(660, 0, 0.25);
  else for (const step of grave ? [0, 0.35, 0.7] : [0]) { tone(880, step, 0.16); tone(1175, step + 0.16, 0.16); }
  body.dataset.sounded = String(Number(body.dataset.sounded || 0) + 1);
}
for (const kind of ["pointerdown", "keydown"]) {
  addEventListener(kind, () => { if (audio && audio.state !== "running") audio.resume().then(sound); });
}
setInterval(sound, 3000);

// Cases.
const over = (one) => one.state === "closed" || one.state === "false";
function card(one) {
  let held = cards.get(one.case);
  if (!held) {
    held = { box: make("article"), picture: make("div", "picture"), text: make("div", "text"), buttons: make("div", "buttons"), still: false, clip: false, asked: "" };
    held.box.dataset.case = one.case;
    held.box.append(held.picture, held.text, held.buttons);
    cards.set(one.case, held);
  }
  held.box.className = [one.severity, over(one) ? "over" : "", !one.answered_s && !over(one) ? "unanswered" : ""].join(" ").trim();
  picture(held, one);
  held.text.replaceChildren(...lines(one));
  // Only where something has changed: a button that is made anew under a thumb is not pressed.
  const wanted = over(one) ? "" : `${one.state} ${language}`;
  if (held.asked !== wanted) {
    held.asked = wanted;
    const first = one.state === "taken" ? "closed" : one.state === "seen" ? "taken" : "seen";
    const offered = over(one) ? [] : [first, ...["taken", "closed", "false"].filter((what) => what !== first && !(one.state === "taken" && what === "taken"))];
    held.buttons.replaceChildren(...offered.map((what, index) => {
      const button = make("button", index ? what : `first ${what}`, word(`do-${what}`));
      button.type = "button";
      button.onclick = () => answer(one.case, what);
      return button;
    }));
    held.buttons.hidden = !offered.length;
  }
  return held.box;
}
function picture(held, one) {
  const address = (part) => `/guard/cases/${encodeURIComponent(one.case)}/${part}`;
  if (one.parts.includes("still") && !held.still) {
    held.still = true;
    const image = make("img");
    image.alt = finding(one.finding);
    image.src = address("still");
    held.picture.replaceChildren(image);
  } else if (!held.still) {
    held.picture.textContent = word("no-picture");
  }
  if (one.parts.includes("clip") && !held.clip) {
    held.clip = true;
    const play = make("button", "play", `▶ ${word("clip")}`);
    play.type = "button";
    play.onclick = () => {
      const video = make("video");
      Object.assign(video, { src: address("clip"), controls: true, muted: true, autoplay: true, loop: true, playsInline: true });
      held.picture.replaceChildren(video);
    };
    if (!held.still) held.picture.textContent = "";
    held.picture.append(play);
  }
}
function lines(one) {
  const told = [];
  if (one.test) told.push(make("span", "test", word("test")));
  told.push(make("b", "", `${finding(one.finding)} · ${one.room || one.camera || "—"}`));
  if (one.escalated) told.push(make("div", "late", `${word("unanswered")}${one.escalated > 1 ? ` (${one.escalated})` : ""}`));
  told.push(make("div", "", `${clock(one.start_s)} ± ${Math.max(0.1, one.clock_error_s).toFixed(1)} ${word("seconds")} · ${word(one.severity)}`
    + (one.count > 1 ? ` · ${one.count} ${word("times")}` : "")));
  if (one.text && !one.test) told.push(make("div", "", one.text));
  told.push(make("div", "dim", `№ ${one.number} · ${one.camera || "—"} · ${one.zone || "—"}`));
  if (one.answered_s) told.push(make("div", "good", `${word(one.state)}: ${one.answered_by}, ${clock(one.answered_s)}`));
  for (const [id, way] of Object.entries(one.way)) {
    if (way.state === "delivered") told.push(make("div", way.waiting ? "waits" : "dim", `${id}: ${word("at")} ${clock(way.at_s)}${way.waiting ? `, ${word("waits")}: ${way.waiting}` : ""}`));
    else if (way.state === "waiting") told.push(make("div", "waits", `${id}: ${word("waits")}`));
    else told.push(make("div", "late", `${id}: ${word(way.state)}`));
  }
  return told;
}

// All of it.
function label() {
  document.documentElement.lang = language;
  at("title").textContent = word("title");
  document.title = word("title");
  at("by").textContent = name() || word("who");
  at("who-title").textContent = word("who");
  at("who-why").textContent = word("who-why");
  at("save").textContent = word("save");
  at("sound").textContent = `♪ ${word("sound")}`;
  at("offline").textContent = word("offline");
  at("none").textContent = word("none");
  at("languages").replaceChildren(...languages.map((one) => {
    const button = make("button", "", { kk: "ҚАЗ", ru: "РУС", en: "ENG" }[one] || one);
    button.type = "button";
    button.lang = one;
    button.setAttribute("aria-pressed", String(one === language));
    button.onclick = () => { language = one; keep("language", one); label(); if (last) show(last); };
    return button;
  }));
}
function show(all) {
  last = all;
  const list = at("cases"), boxes = all.cases.map(card);
  boxes.forEach((box, index) => { if (list.children[index] !== box) list.insertBefore(box, list.children[index] || null); });
  while (list.children.length > boxes.length) list.lastChild.remove();
  const shown = new Set(all.cases.map((one) => one.case));
  for (const one of cards.keys()) if (!shown.has(one)) cards.delete(one);
  at("open").textContent = all.open ? String(all.open) : "";
  at("none").hidden = all.open > 0;
  document.title = (unanswered().length ? `(${unanswered().length}) ` : "") + word("title");
  at("destinations").replaceChildren(...all.destinations.map((one) => {
    const much = one.waiting.messages + one.waiting.stills + one.waiting.clips;
    const state = word(one.state === "refused" ? "destination-refused" : one.state);
    const since = one.state === "working" || !one.since_s ? "" : ` ${word("since").replace("{}", clock(one.since_s))}`;
    return make("span", one.state, `${one.id}: ${state}${since}${much ? `, ${word("waits")}: ${much}` : ""}`);
  }));
  at("silences").hidden = !all.silences.length;
  at("silences").textContent = all.silences.map((one) =>
    `${word("silenced")}: ${one.zone || one.camera}, ${word("until").replace("{}", clock(one.until_s))}, ${one.by}`).join(" · ");
}
function listen() {
  const live = new EventSource("/guard/events");
  live.onmessage = (event) => {
    heard = Date.now();
    at("offline").hidden = true;
    const before = unanswered().length;
    show(JSON.parse(event.data));
    if (unanswered().length > before) sound();
  };
}
setInterval(() => { at("offline").hidden = Date.now() - heard < Number(body.dataset.silence); }, 1000);
label();
listen();
