"use strict";
// One terminal's screen. All that it knows comes as events from the box; when they stop, it says so and shows nothing old.
const body = document.body;
const terminal = body.dataset.terminal;
const languages = body.dataset.languages.split(" ");
const words = JSON.parse(body.dataset.words);
const silence = Number(body.dataset.silence);
const at = (id) => document.getElementById(id);

let heard = 0;         // when something was heard last
let offset = null;     // the box's clock less ours, in milliseconds
let zone = 0;          // seconds from UTC at the school
let last = null;       // the newest state
let shown = 0;         // number of the verdict on the screen
let ending = null;     // the timer that takes it off

function lines(element, told) {
  element.replaceChildren();
  const said = new Set();
  for (const language of told ? languages : []) {
    const text = told[language];
    if (!text || said.has(text)) continue;
    said.add(text);
    const line = document.createElement("p");
    line.lang = language;
    line.textContent = text;
    element.append(line);
  }
}

function idle() {
  ending = null;
  shown = 0;
  body.classList.remove("granted", "refused", "no-photo");
  body.classList.add("idle");
  at("photo").removeAttribute("src");
  for (const id of ["name", "form"]) at(id).textContent = "";
  for (const id of ["title", "text", "allergy"]) at(id).replaceChildren();
}

function verdict(told) {
  const again = told.number === shown;
  shown = told.number;
  clearTimeout(ending);
  lines(at("title"), told.title);
  lines(at("text"), told.text);
  lines(at("allergy"), told.allergy);
  at("name").textContent = told.name || "";
  at("name").classList.toggle("long", (told.name || "").length > 22);
  at("form").textContent = told.class || "";
  const photo = at("photo");
  if (told.photo) photo.src = told.photo; else photo.removeAttribute("src");
  body.classList.toggle("no-photo", !told.photo);
  body.classList.toggle("granted", told.granted);
  body.classList.toggle("refused", !told.granted);
  body.classList.remove("idle");
  const bar = at("left").firstElementChild;
  bar.style.animation = "none";
  void bar.offsetWidth; // begins the bar anew
  bar.style.animation = "";
  bar.style.setProperty("--from", told.left_ms / told.show_ms);
  bar.style.animationDuration = `${told.left_ms}ms`;
  ending = setTimeout(idle, told.left_ms);
  // A page that was loaded again in the middle shows the rest, and does not sound twice.
  if (!again && told.left_ms > told.show_ms - 1000) sound(told.granted);
}
at("photo").addEventListener("error", () => body.classList.add("no-photo"));

function state(told) {
  last = told;
  offset = told.now_ms - Date.now();
  zone = told.offset_s;
  const slot = told.slot;
  at("slot").textContent = slot ? `${slot.id}  ${slot.from}–${slot.to}`
    : told.kind === "meals" ? words["no-slot"][languages[0]] : "";
  const counted = told.kind === "meals" ? "served" : "inside";
  at("count").textContent = told.count === null ? "" : `${words[counted][languages[0]]}: ${told.count}`;
  let trouble = null;
  if (told.clock_unsure) trouble = words["clock-unsure"];
  if (told.state === "reader-waiting") trouble = words["reader"];
  if (told.state === "cannot-record") trouble = words["cannot-record"];
  lines(at("banner"), trouble);
  body.classList.toggle("trouble", trouble !== null);
}

function tick() {
  const quiet = performance.now() - heard > silence;
  if (quiet && !body.classList.contains("offline")) {
    clearTimeout(ending);
    idle();
    lines(at("banner"), words["offline"]);
  } else if (!quiet && body.classList.contains("offline") && last) {
    state(last);
  }
  body.classList.toggle("offline", quiet);
  if (offset === null) return;
  const now = new Date(Date.now() + offset + zone * 1000); // read as UTC, it shows the school's time
  const two = (number) => String(number).padStart(2, "0");
  at("clock").textContent = `${two(now.getUTCHours())}:${two(now.getUTCMinutes())}`;
  at("date").textContent = `${two(now.getUTCDate())}.${two(now.getUTCMonth() + 1)}.${now.getUTCFullYear()}`;
}

// Sounds are made, not fetched: green rises, red is low and comes twice.
let context = null;
function speakers() {
  if (context === null) context = new AudioContext();
  body.classList.toggle("mute", context.state !== "running");
  return context;
}
function tone(frequency, begin, seconds, shape) {
  const now = context.currentTime + begin;
  const source = context.createOscillator();
  const gain = context.createGain();
  source.type = shape;
  source.frequency.value = frequency;
  gain.gain.setValueAtTime(0, now);
  gain.gain.linearRampToValueAtTime(0.4, now + 0.01);
  gain.gain.setValueAtTime(0.4, now + seconds - 0.03);
  gain.gain.linearRampToValueAtTime(0, now + seconds);
  source.connect(gain).connect(context.destination);
  source.start(now);
  source.stop(now + seconds);
}
function sound(granted) {
  body.dataset.sounded = granted ? "green" : "red";
  if (speakers().state !== "running") return;
  if (granted) { tone(880, 0, 0.12, "sine"); tone(1320, 0.12, 0.18, "sine"); }
  else { tone(196, 0, 0.3, "square"); tone(196, 0.42, 0.3, "square"); }
}
function wake() {
  speakers().resume().then(speakers);
}
document.addEventListener("pointerdown", wake);
lines(at("sound"), words["sound"]);
at("sound").textContent = words["sound"][languages[0]];

lines(at("hold"), words["hold"]);
heard = performance.now();
const events = new EventSource(`/terminal/${encodeURIComponent(terminal)}/events`);
events.addEventListener("verdict", (event) => { heard = performance.now(); verdict(JSON.parse(event.data)); });
events.addEventListener("state", (event) => { heard = performance.now(); state(JSON.parse(event.data)); tick(); });
events.addEventListener("error", () => {
  // A closed stream is not opened again by the browser where the box answered with an error: the page is loaded anew.
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
});
setInterval(tick, 500);
speakers();
context.onstatechange = speakers;
