// Sets the theme before anything is painted. A classic script on purpose: modules run after the first paint.
"use strict";
{
  const kept = localStorage.getItem("fleet-theme");
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
