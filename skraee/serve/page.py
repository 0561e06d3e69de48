"""The page of the service: its paths, and a form to try them.

It is written by the service itself and loads nothing from elsewhere, so that it works
without a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import Any

Json = dict[str, Any]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto;
       padding: 0 1rem; color: #1c1c1c; background: #fff; }
h2 { margin-top: 2rem; font-size: 1.1rem; }
code, pre, textarea { font: 14px/1.4 ui-monospace, monospace; }
pre, textarea { background: #f4f4f4; border: 1px solid #ccc; padding: .5rem;
                overflow: auto; width: 100%; box-sizing: border-box; }
table { border-collapse: collapse; }
td { padding: .1rem .8rem .1rem 0; vertical-align: top; }
label { display: block; margin: .5rem 0; }
@media (prefers-color-scheme: dark) {
  body { color: #eee; background: #1c1c1c; }
  pre, textarea, input { background: #2a2a2a; color: #eee; border-color: #555; }
  a { color: #8ab4ff; }
}
"""

_SCRIPT = """
document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, shown = document.querySelector("#answer");
  const headers = {"Content-Type": "application/json"};
  if (form.token.value) headers.Authorization = "Bearer " + form.token.value;
  shown.textContent = "...";
  try {
    const answer = await fetch(form.path.value.slice(1),
                               {method: "POST", headers, body: form.body.value});
    shown.textContent = answer.status + "\\n"
      + JSON.stringify(await answer.json(), null, 2);
  } catch (error) {
    shown.textContent = String(error);
  }
});
"""


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


#: Nothing runs on the page but its own script, and nothing is loaded.
CONTENT_POLICY = (
    f"default-src 'none'; script-src 'sha256-{_hash(_SCRIPT)}'; "
    f"style-src 'sha256-{_hash(_STYLE)}'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def page(document: Json) -> str:
    """Return the page of an OpenAPI document.

    Parameters
    ----------
    document : dict

    Returns
    -------
    str
        HTML.
    """
    about = document["info"]
    parts = [_path(path, found) for path, found in document["paths"].items()]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(about['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(about['title'])} {escape(about['version'])}</h1>"
        f"<p>{escape(about.get('summary', ''))}. For programs: "
        '<a href="openapi.json">openapi.json</a>.</p>'
        f"{_form(document)}{''.join(parts)}<script>{_SCRIPT}</script></body></html>"
    )


def _form(document: Json) -> str:
    asked = [path for path, found in document["paths"].items() if "post" in found]
    choices = "".join(f"<option>{escape(path)}</option>" for path in asked)
    body = json.dumps(_example(document["paths"][asked[0]]["post"]))
    return (
        "<h2>Try it</h2><form>"
        f'<label>Path <select name="path">{choices}</select></label>'
        '<label>Token, if there is one <input name="token" type="password" '
        'autocomplete="off"></label>'
        f'<label>Body<textarea name="body" rows="4">{escape(body)}</textarea></label>'
        '<button>Send</button></form><pre id="answer"></pre>'
    )


def _path(path: str, found: Json) -> str:
    parts = []
    for method, said in found.items():
        if method == "head":
            continue
        parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
        parts.append(f"<p>{escape(said.get('summary', ''))}</p>")
        if "requestBody" in said:
            shown = json.dumps(_schema(said), indent=2)
            parts.append(f"<pre>{escape(shown)}</pre>")
        rows = "".join(
            f"<tr><td>{escape(status)}</td><td>{escape(one['description'])}</td></tr>"
            for status, one in said["responses"].items()
        )
        parts.append(f"<table>{rows}</table>")
    return "".join(parts)


def _content(said: Json) -> Json:
    found: Json = said["requestBody"]["content"]["application/json"]
    return found


def _schema(said: Json) -> Json:
    found: Json = _content(said)["schema"]
    return found


def _example(said: Json) -> Json:
    found: Json = _content(said)["example"]
    return found
