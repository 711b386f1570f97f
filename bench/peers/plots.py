"""Bars of times as SVG: a panel for each net, a bar for each program, on a logarithmic axis in multiples of octavo's C. The same
figures give the same bytes."""
import math

BAR, GAP, LABEL, AXIS, PANEL, COLUMNS = 11, 3, 92, 300, 500, 2
COLOURS = {"ours": "#15803d", "ours32": "#86c79b", "float": "#64748b", "int8": "#d97706", "wrong": "#f3c892"}
LEGEND = (("ours", "octavo, int8"), ("ours32", "octavo, float"), ("float", "float peers"), ("int8", "int8 peers, right"), ("wrong", "int8 peers, wrong (w)"))


def time_text(us):
    return f"{us / 1000:.1f} ms" if us >= 10000 else f"{us:.0f} us" if us >= 100 else f"{us:.1f} us"


def panel(r, x, y, is_wrong, ours, f32):
    names = [p for p in ours if p in r["us"]] + sorted((p for p in r["us"] if p not in ours), key=lambda p: (p not in f32, p))
    unit = r["us"].get("octavo-c") or min(r["us"].values())
    low = min(0.5, *(r["us"][p] / unit for p in names))
    high = max(4.0, *(r["us"][p] / unit for p in names))
    at = lambda v: LABEL + AXIS * math.log(v / low) / math.log(high / low)
    height = len(names) * (BAR + GAP)
    out = [f'<g transform="translate({x} {y})"><text x="0" y="-6" font-weight="bold">{r["net"].replace(">", "&gt;")}</text>']
    for tick in (0.25, 0.5, 1, 2, 4, 8, 16, 32):
        if low <= tick <= high:
            out.append(f'<path d="M{at(tick):.1f} 0V{height}" stroke="{"#111" if tick == 1 else "#ddd"}"/><text x="{at(tick):.1f}" y="{height + 10}" text-anchor="middle" fill="#555">{tick:g}x</text>')
    for i, p in enumerate(names):
        kind = ("ours32" if p.endswith("f32") else "ours") if p in ours else "float" if p in f32 else "wrong" if is_wrong(r, p) else "int8"
        top, end = i * (BAR + GAP), at(r["us"][p] / unit)
        out.append(f'<text x="{LABEL - 4}" y="{top + BAR - 2}" text-anchor="end">{p}</text><rect x="{LABEL}" y="{top}" width="{max(end - LABEL, 1):.1f}" height="{BAR}" fill="{COLOURS[kind]}"/>'
                   f'<text x="{max(end, LABEL + 1) + 3:.1f}" y="{top + BAR - 2}">{time_text(r["us"][p])}{" (w)" if kind == "wrong" else ""}</text>')
    return "\n".join(out) + "</g>", height


def bars(results, title, is_wrong, ours, f32):
    body, y = [], 52
    for first in range(0, len(results), COLUMNS):
        row = [panel(r, 10 + i * PANEL, y + 14, is_wrong, ours, f32) for i, r in enumerate(results[first:first + COLUMNS])]
        body += [text for text, _ in row]
        y += 44 + max(height for _, height in row)
    legend = "".join(f'<rect x="{10 + 170 * i}" y="26" width="11" height="11" fill="{COLOURS[k]}"/><text x="{25 + 170 * i}" y="35">{t}</text>' for i, (k, t) in enumerate(LEGEND))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{PANEL * COLUMNS}" height="{y}" font-family="sans-serif" font-size="10"><rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="10" y="16" font-size="13" font-weight="bold">{title}: time of one inference in multiples of octavo-c (less is better, logarithmic)</text>{legend}\n' + "\n".join(body) + "\n</svg>\n")
