// One tone for a critical alert, off until somebody wants it. Which alert is new, others say.
"use strict";

(() => {
  const KEY = "suifang-sound";
  const button = document.getElementById("sound");
  const isOn = () => localStorage.getItem(KEY) === "on";
  // A browser plays nothing on a page that nobody has touched yet, and says so to nobody.
  const mayPlay = () => navigator.userActivation?.hasBeenActive ?? true;

  document.addEventListener("suifang:critical", beep);
  if (!button) return;
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, isOn() ? "off" : "on");
    show();
    beep();
  });
  for (const name of ["pointerdown", "pointerup", "keydown"]) document.addEventListener(name, show);
  show();

  function show() {
    button.setAttribute("aria-pressed", String(isOn()));
    const said = !isOn() ? "off" : mayPlay() ? "on" : "blocked";
    button.querySelector("span").textContent = button.dataset[said];
  }

  function beep() {
    if (!isOn() || !mayPlay()) return;
    const sound = new AudioContext();
    const tone = sound.createOscillator();
    const volume = sound.createGain();
    tone.frequency.value = 880;
    volume.gain.setValueAtTime(0.15, sound.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + 0.5);
    tone.connect(volume).connect(sound.destination);
    tone.start();
    tone.stop(sound.currentTime + 0.5);
    tone.onended = () => sound.close();
  }
})();
