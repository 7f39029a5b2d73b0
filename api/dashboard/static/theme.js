// Runs before the page is painted: the theme that the reader chose, if not the system's.
try {
  const theme = localStorage.getItem("holdout-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // storage is closed to this page: the system's theme it is
}
