// Before anything is painted: the colours that were chosen here before.
try {
  const chosen = localStorage.getItem("agentmem.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage the system's colours are taken.
}
