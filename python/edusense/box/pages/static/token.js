"use strict";
// A kiosk is begun with https://box:8480/terminal/left#token=…: what stands behind # is never sent, and is taken away here.
const form = document.getElementById("token");
async function enter(token) {
  const answer = await fetch("/token", { method: "POST", body: token });
  if (answer.ok) location.replace(sessionStorage.getItem("wanted") || "/");
  else document.getElementById("told").textContent = await answer.text();
}
form.addEventListener("submit", (event) => { event.preventDefault(); enter(new FormData(form).get("token")); });
const told = new URLSearchParams(location.hash.slice(1));
if (told.get("wanted")) sessionStorage.setItem("wanted", new URL(told.get("wanted"), location.origin).pathname);
history.replaceState(null, "", location.pathname);
if (told.get("token")) enter(told.get("token"));
