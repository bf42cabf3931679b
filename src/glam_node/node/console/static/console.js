// The behaviour of all pages: refreshing the live part unless paused, showing local times, and copying lines of settings.
"use strict";

const PAUSED = "glam-node-paused";
const pause = document.getElementById("pause");
const word = document.getElementById("live-word");

function isPaused() {
  return sessionStorage.getItem(PAUSED) === "yes";
}

function say(text) {
  if (word && word.textContent !== text) word.textContent = text;
}

function showPause() {
  if (!pause) return;
  pause.setAttribute("aria-pressed", String(isPaused()));
  pause.textContent = isPaused() ? "Resume" : "Pause";
  say(isPaused() ? "Paused: this page is not refreshed." : "Live");
}

if (pause) {
  showPause();
  pause.hidden = false;
  pause.addEventListener("click", () => {
    sessionStorage.setItem(PAUSED, isPaused() ? "no" : "yes");
    showPause();
    if (!isPaused()) htmx.trigger("#live", "refresh");
  });
}

// A refresh does not change elements that a person has opened, has set or is typing in.
const KEPT_AS_IS = "dialog[open], details[open], form:focus-within, [data-kept]";
Idiomorph.defaults.ignoreActiveValue = true;
Idiomorph.defaults.callbacks.beforeNodeMorphed = (before) => !(before instanceof Element && before.matches(KEPT_AS_IS));

// Skip the periodic refresh while it is paused or the page is hidden.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "live" && (isPaused() || document.hidden)) event.preventDefault();
});

// The node sends times in UTC. A person may switch all pages of this browser to its local time, and back.
const LOCAL_TIME = "glam-node-local-time";
const zone = document.getElementById("time-zone");
const localTime = document.getElementById("local-time");

function digits(number, length = 2) {
  return String(number).padStart(length, "0");
}

function localText(at, exact) {
  const day = `${at.getFullYear()}-${digits(at.getMonth() + 1)}-${digits(at.getDate())}`;
  const time = `${digits(at.getHours())}:${digits(at.getMinutes())}:${digits(at.getSeconds())}`;
  return `${day} ${time}${exact ? `.${digits(at.getMilliseconds(), 3)}` : ""}`;
}

function showTimes() {
  const local = localStorage.getItem(LOCAL_TIME) === "yes";
  for (const element of document.querySelectorAll("time[data-moment]")) {
    const at = new Date(element.dateTime);
    const exact = element.dataset.moment === "exact";
    const utc = at.toISOString().replace("T", " ").slice(0, exact ? 23 : 19);
    const text = local ? localText(at, exact) : utc;
    if (element.textContent !== text) element.textContent = text;
    element.title = local ? `${utc} UTC` : "";
  }
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  zone.textContent = local ? `All times are in the time zone of this browser (${name}).` : "All times are UTC.";
  localTime.textContent = local ? "Show UTC" : "Show local time";
}

if (localTime) {
  localTime.hidden = false;
  localTime.addEventListener("click", () => {
    localStorage.setItem(LOCAL_TIME, localStorage.getItem(LOCAL_TIME) === "yes" ? "no" : "yes");
    showTimes();
  });
  document.addEventListener("htmx:afterSettle", showTimes);
  if (localStorage.getItem(LOCAL_TIME) === "yes") showTimes();
}

// Request this page again: the node answers with the sign-in form, and shows the page after the person has signed in.
const toSignIn = () => location.replace(location.pathname + location.search);

// Leave this page if the node answers a refresh with the sign-in form, instead of showing the form inside this page.
document.addEventListener("htmx:beforeSwap", (event) => {
  const answered = new URL(event.detail.xhr.responseURL || location.href);
  if (answered.pathname === "/sign-in" && location.pathname !== "/sign-in") {
    event.detail.shouldSwap = false;
    toSignIn();
  }
});

// A page that is paused, or has no live part, must not stay on the screen longer than its session lasts.
if ("signedIn" in document.body.dataset) {
  setInterval(async () => {
    const answer = await fetch("/session").catch(() => null);
    if (answer && answer.status === 401) toSignIn();
  }, 60_000);
}

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.target.id !== "live") return;
  if (event.detail.successful) showPause();
  else if (event.detail.xhr.status) say(`The node answered ${event.detail.xhr.status}: this page may be out of date.`);
});
document.addEventListener("htmx:sendError", () => say("The node does not answer: this page is out of date. Check that glam-node serve is running."));
document.addEventListener("visibilitychange", () => {
  const live = document.getElementById("live");
  if (live && !document.hidden) htmx.trigger(live, "refresh");
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    say("Copied");
  } catch {
    const range = document.createRange();
    range.selectNodeContents(button.parentElement.querySelector("code"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "Selected";
    say("Selected: copy the text with the keyboard.");
  }
  setTimeout(() => { button.textContent = said; showPause(); }, 1500);
});
