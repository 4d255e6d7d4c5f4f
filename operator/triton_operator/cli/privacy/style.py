"""The style of the page: readable on a screen, in dark mode and on paper. It loads nothing."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --line: #c8c8c8; --soft: #f3f3f3;
  --good: #14642d; --bad: #a11212; --open: #7a5200; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #161616; --line: #4a4a4a; --soft: #232323;
  --good: #7bd694; --bad: #ff9a9a; --open: #f0c060; } }
@media print { :root { color-scheme: light; --ink: #000; --paper: #fff; --line: #999; --soft: #fff;
  --good: #14642d; --bad: #a11212; --open: #7a5200; }
  body { max-width: none; padding: 0; font-size: 9pt; } tr, dl, li { break-inside: avoid; }
  h2, h3, .subject { break-after: avoid; } thead { display: table-header-group; } }
@page { margin: 15mm; }
body { max-width: 76rem; margin: 0 auto; padding: 1.5rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
thead th { background: var(--soft); } th { white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .3rem 0 .6rem; }
dt { opacity: .8; } dd { margin: 0; font-family: ui-monospace, monospace; font-size: .9em; }
.subject { font-weight: 600; margin: .4rem 0 0; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.open { color: var(--open); font-weight: 600; }
"""
