"""How the report page looks: on a screen and A4, light and dark."""

from typing import Final

STYLE: Final = """
@page { size: A4; margin: 15mm }
:root { color-scheme: light dark; --text: #222; --soft: #555; --line: #ddd; --paper: #fff }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--paper); max-width: 62rem;
  margin: auto; padding: 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.6em; line-height: 1.2 }
h2 { font-size: 1.15em; margin: 1.8em 0 .5em; break-after: avoid }
p { margin: .5em 0 }
table, figcaption, .note { font-size: .87em }
figcaption, .note { color: var(--soft) }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25em .8em .25em 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }
thead th { vertical-align: bottom; border-bottom-color: var(--soft); overflow-wrap: normal }
tbody th { font-weight: normal }
.number { text-align: right }
tr, figure { break-inside: avoid }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem 2rem }
figure { margin: 0; max-width: 30rem }
figure svg { width: 100%; height: auto; display: block }
@media screen { .wide td, .wide tbody th { white-space: nowrap } }
@media screen and (prefers-color-scheme: dark) {
  :root { --text: #ddd; --soft: #aaa; --line: #444; --paper: #181818 }
  figure svg { filter: invert(.906) hue-rotate(180deg) }
}
@media print {
  :root { color-scheme: light }
  body { font-size: 9.5pt; padding: 0; max-width: none }
  .figures { display: block; columns: 2; column-gap: 10mm }
  figure { margin-bottom: 6mm }
  .wide table { font-size: 7pt }
}
"""
