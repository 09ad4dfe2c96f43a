// Loads the page's program. If that fails, the boot screen says so instead of staying silent.
import init from "./vereda-ui.js";

init().catch((error) => {
  const boot = document.getElementById("boot");
  if (boot) {
    boot.removeAttribute("aria-hidden");
    boot.setAttribute("role", "alert");
    const text = document.createElement("p");
    text.textContent =
      "Vereda no pudo iniciar. Cierre la aplicación y ábrala de nuevo. · Vereda could not start. Close the app and open it again.";
    const detail = document.createElement("small");
    detail.textContent = String(error);
    boot.append(text, detail);
  }
});
