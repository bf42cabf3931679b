// Window and visibility of findings in the views. They are properties of the whole document, so that a refresh of the live
// part does not reset them.
"use strict";

const KEPT = "glam-node-views";
const controls = document.getElementById("view-controls");

// Brightness b, then contrast c, of a filter give (b v - 1/2) c + 1/2: the window from centre - width/2 to centre + width/2
// for b = 1 / (2 centre) and c = 2 centre / width.
function show() {
  const { centre, width, opacity } = values();
  const style = document.documentElement.style;
  style.setProperty("--brightness", String(1 / (2 * centre)));
  style.setProperty("--contrast", String(2 * centre / width));
  style.setProperty("--segments", String(opacity));
  for (const input of controls.querySelectorAll("input")) {
    controls.querySelector(`output[for="${input.id}"]`).textContent = `${input.value} %`;
    input.setAttribute("aria-valuetext", `${input.value} percent`);
  }
}

function values() {
  const of = (id) => Number(document.getElementById(id).value) / 100;
  return { centre: of("window-centre"), width: of("window-width"), opacity: of("segment-opacity") };
}

function keep() {
  const kept = {};
  for (const input of controls.querySelectorAll("input")) kept[input.id] = input.value;
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
}

if (controls) {
  controls.hidden = false;
  const kept = JSON.parse(sessionStorage.getItem(KEPT) || "{}");
  for (const input of controls.querySelectorAll("input")) {
    if (input.id in kept) input.value = kept[input.id];
  }
  show();
  controls.addEventListener("input", () => { show(); keep(); });
  document.getElementById("reset-views").addEventListener("click", () => {
    for (const input of controls.querySelectorAll("input")) input.value = input.defaultValue;
    show();
    keep();
  });
}

// Show a message in place of a layer that cannot be drawn.
document.addEventListener("error", (event) => {
  if (event.target instanceof HTMLImageElement && event.target.closest(".film")) {
    event.target.closest(".film").classList.add("missing");
    event.target.closest(".film").dataset.kept = "";
  }
}, true);
