"""How the report page looks: on a phone, a screen and A4, light and dark."""

from typing import Final

STYLE: Final = """
@page { size: A4; margin: 15mm }
:root { color-scheme: light dark; --text: #222; --soft: #555; --line: #ddd; --paper: #fff; --shade: #0003 }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--paper); max-width: 62rem;
  margin: auto; padding: 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.6em; line-height: 1.2 }
h2 { font-size: 1.15em; margin: 1.8em 0 .5em; break-after: avoid }
p { margin: .5em 0 }
table, dl, figcaption, .note { font-size: .87em }
figcaption, .note { color: var(--soft) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25em .8em .25em 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }
thead th { vertical-align: bottom; border-bottom-color: var(--soft); overflow-wrap: normal }
tbody th { font-weight: normal }
.number { text-align: right }
tr, figure, section { break-inside: avoid }
dl { columns: 20rem; margin: 0 }
dl div { display: flex; gap: 1em; justify-content: space-between; break-inside: avoid;
  border-bottom: 1px solid var(--line) }
dt { white-space: nowrap }
dd { margin: 0; text-align: right }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem 2rem }
figure { margin: 0; max-width: 30rem }
figure svg { width: 100%; height: auto; display: block }
@media screen {
  /* a shade at the side where a table goes on */
  .stacked { overflow-x: auto; background:
    linear-gradient(to right, var(--paper) 30%, transparent) left / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--paper) 30%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / .8rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / .8rem 100% no-repeat scroll }
  .stacked td, .stacked tbody th { white-space: nowrap }
}
@media screen and (max-width: 40rem) {
  .stacked table, .stacked tbody, .stacked tr, .stacked tbody th, .stacked td { display: block }
  .stacked thead { position: absolute; clip-path: inset(50%) }
  .stacked td, .stacked tbody th { white-space: normal; text-align: left; padding-right: 0 }
  .stacked tbody th { font-weight: bold; border: 0; padding-top: .8em }
  .stacked td { display: flex; justify-content: space-between; gap: 1em; text-align: right }
  .stacked td::before { content: attr(data-title); color: var(--soft); text-align: left }
}
@media screen and (prefers-color-scheme: dark) {
  :root { --text: #ddd; --soft: #aaa; --line: #444; --paper: #181818; --shade: #fff4 }
  figure svg { filter: invert(.906) hue-rotate(180deg) }
}
@media print {
  :root { color-scheme: light }
  body { font-size: 9.5pt; padding: 0; max-width: none }
  .figures { display: block; columns: 2; column-gap: 10mm }
  figure { margin-bottom: 6mm }
  .stacked table { font-size: 7pt }
  .stacked td { overflow-wrap: normal }
}
"""
