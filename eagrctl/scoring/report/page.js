"use strict";
// Lays the four pictures of a face over one another and gives the slider and its stops something to do.
for (const face of document.querySelectorAll(".face")) {
  const layers = [...face.querySelectorAll(".layer")];
  const names = layers.map((layer) => layer.querySelector(".name").textContent);
  const slider = face.querySelector("input");
  const stops = [...face.querySelectorAll("button")];
  const show = () => {
    const at = Number(slider.value);
    const left = Math.floor(at);
    layers.forEach((layer, number) => {
      const shown = number === 0 ? 1 : Math.min(Math.max(at - number + 1, 0), 1);
      layer.style.clipPath = shown === 1 ? "" : `inset(0 ${100 * (1 - shown)}% 0 0)`;
    });
    face.style.setProperty("--line", `${100 * (at - left)}%`);
    face.classList.toggle("between", at !== left);
    slider.setAttribute(
      "aria-valuetext",
      at === left ? names[left] : `${Math.round(100 * (at - left))} % ${names[left + 1]} over ${names[left]}`,
    );
    stops.forEach((stop, number) => stop.setAttribute("aria-pressed", String(at === number)));
  };
  slider.addEventListener("input", show);
  stops.forEach((stop, number) =>
    stop.addEventListener("click", () => {
      slider.value = number;
      show();
    }),
  );
  face.classList.add("stacked");
  face.querySelector(".controls").hidden = false;
  slider.value = 0; // a reloaded page may have kept another value
  show();
}
