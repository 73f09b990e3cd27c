// Set the theme before the first paint. This is a classic script, because modules run after the first paint.
"use strict";
{
  const saved = localStorage.getItem("fleet-theme");
  const dark = saved ? saved === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
