"use strict";
// The token stands behind the # of the link, where no server sees it. It is taken out of the address before it is sent.
function enter() {
  const token = location.hash.slice(1);
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  document.getElementById("token").value = token;
  document.getElementById("enter").requestSubmit();
}
addEventListener("hashchange", enter);
enter();
