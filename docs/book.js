// In the book, links to files of the repository that are not pages of it lead nowhere. Here they are sent to the forge.
"use strict";
(() => {
  const repository = "https://gitea.d-ma.be/mathias/tagalong/src/branch/main/docs/";
  const root = new URL(path_to_root || "./", document.baseURI).href;
  const page = document.location.href.slice(root.length);
  for (const link of document.querySelectorAll("main a[href]")) {
    const href = link.getAttribute("href");
    if (/^[a-z]+:|^#/.test(href)) continue;
    const target = new URL(href, repository + page).href;
    if (!target.startsWith(repository)) {
      link.href = target.replace(/\.html(?=#|$)/, ".md");
    } else if (/(^|\/)README\.html(#|$)/.test(href)) {
      // The book calls such a page the index of its folder.
      link.setAttribute("href", href.replace("README.html", "index.html"));
    }
  }
})();
