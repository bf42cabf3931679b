"""Style sheet of the report."""

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b;
  background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
.warning { background: #fff3cd; border-left: 5px solid #d39e00; padding: .6rem .9rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child { text-align: left; font-weight: 400; }
thead th { font-weight: 600; border-bottom: 2px solid #999; }
tbody tr:nth-child(even) { background: #f6f7f9; }
.facts th, .facts td { text-align: left; overflow-wrap: anywhere; } .facts th { white-space: nowrap; font-weight: 600; }
.charts { display: flex; flex-wrap: wrap; gap: 12px; }
.side { display: flex; flex-wrap: wrap; gap: 0 3rem; align-items: flex-start; }
svg text { font: 11px system-ui, sans-serif; fill: #333; } svg .title { font-size: 13px; font-weight: 600; }
svg .grid { stroke: #e3e3e3; fill: none; } svg .diagonal { stroke: #999; fill: none; }
.legend span { margin-right: 1.4rem; } .legend svg { vertical-align: middle; }
.exhibit > p { margin: .6rem 0 .2rem; font-family: ui-monospace, monospace; font-size: .85rem;
  overflow-wrap: anywhere; }
.exhibit > div { display: flex; flex-wrap: wrap; gap: 10px; }
figure { margin: 0; } figure img { display: block; max-width: 100%; }
figcaption { background: #fff; font-size: .8rem; padding-top: .2rem; max-width: 260px; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem 1.2rem; }
"""
