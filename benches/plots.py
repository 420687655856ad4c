"""The plots of BENCHMARKS.md: plots.py RESULTS FOLDER draws what results.json has, each as an SVG in FOLDER.

The same results give the same bytes. Grounds are transparent and colours of middle brightness, so that a plot can be
read on light and on dark.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

INK = "#6e7781"
BLUE, ORANGE, GREEN, PURPLE, RED = "#2f81f7", "#c9820a", "#2da44e", "#a371f7", "#e5534b"

plt.rcParams.update({
    "svg.hashsalt": "libtrophy", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10,
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "legend.frameon": False,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "axes.titlecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.grid": True, "grid.color": INK, "grid.alpha": 0.25, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 11, "axes.axisbelow": True, "figure.constrained_layout.use": True,
})


def plain_number(axis):
    """1,000 instead of 10³."""
    if axis.get_scale() == "log":
        axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5) if axis.axis_name == "x" else (1,), numticks=12))
        axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.6g}"))


def host_thread(series):
    """Each call's time by how many calls take longer."""
    curves = series["host thread"]
    figure, axes = plt.subplots(figsize=(8, 4.5))
    colours = dict(zip(dict.fromkeys(name.rsplit(", ", 1)[0] for name in curves), [BLUE, GREEN, ORANGE, PURPLE]))
    for name, curve in curves.items():
        call, threads = name.rsplit(", ", 1)
        points = [(1 - share, max(1, ns) / 1000) for share, ns in curve if 0 < share < 1]
        axes.plot(*zip(*points), color=colours[call], linestyle="-" if threads == "1 thread" else "--", label=name)
    axes.set(xscale="log", yscale="log", xlabel="percentile", ylabel="µs")
    axes.invert_xaxis()
    axes.set_xticks([0.5, 0.1, 0.01, 0.001, 0.0001, 0.00001], ["median", "p90", "p99", "p99.9", "p99.99", "p99.999"])
    axes.minorticks_off()
    plain_number(axes.yaxis)
    axes.legend(fontsize=8)
    axes.set_title("What a call takes of the host's own thread; the service slow")
    return figure


def boxes(axes, samples, unit):
    """The middle half and the middle 90 % of each."""
    names = list(samples)
    drawn = axes.boxplot(list(samples.values()), orientation="horizontal", whis=(5, 95), showfliers=False, patch_artist=True, widths=0.6)
    for name, box in zip(names, drawn["boxes"]):
        box.set(facecolor=BLUE if name == "libtrophy" else INK, edgecolor=INK, alpha=0.7)
    for part in ("whiskers", "caps", "medians"):
        for line in drawn[part]:
            line.set_color(INK)
    axes.set_yticks(range(1, len(names) + 1), names)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel=unit)
    plain_number(axes.xaxis)


def latency(series):
    figure, both = plt.subplots(1, 2, figsize=(8, 3.2))
    for axes, which in zip(both, ("plain", "TLS")):
        if f"latency, {which}" in series:
            boxes(axes, series[f"latency, {which}"], "µs an event")
        axes.set_title(f"One event on a warm connection, {which}")
    return figure


def cold_start(series):
    figure, axes = plt.subplots(figsize=(8, 2.6))
    boxes(axes, series["cold start"], "ms until the first event is counted")
    axes.set_title("Cold start over TLS")
    return figure


def power(series):
    """By threads: percentiles, and how many a second."""
    curves = series["power"]
    figure, four = plt.subplots(1, 4, figsize=(9, 2.8))
    for axes, (key, title) in zip(four, (("median", "median, µs"), ("p99", "p99, µs"), ("p99.9", "p99.9, µs"), ("rate", "events a second"))):
        for shift, name, colour in ((-0.2, "libtrophy", BLUE), (0.2, "SQLite", ORANGE)):
            axes.bar([at + shift for at in range(len(curves))], [each[name][key] for each in curves.values()], 0.4, color=colour, label=name)
        axes.set_xticks(range(len(curves)), list(curves))
        axes.set(title=title, xlabel="threads")
        axes.grid(axis="x", visible=False)
    four[0].legend(fontsize=8)
    figure.suptitle("Enqueue that survives a power cut")
    return figure


def drain(series):
    drains = series["drain"]
    figure, all_axes = plt.subplots(1, len(drains), figsize=(9, 2.8), squeeze=False)
    for axes, (name, points) in zip(all_axes[0], drains.items()):
        seconds, left = zip(*points)
        axes.fill_between(seconds, left, color=BLUE, alpha=0.25, linewidth=0)
        axes.plot(seconds, left, color=BLUE)
        axes.set(title=name, xlabel="seconds", ylim=(0, None), xlim=(0, None))
        plain_number(axes.yaxis)
    all_axes[0][0].set_ylabel("events left")
    figure.suptitle("The drain of a backlog")
    return figure


def bars(parts, title, unit, scale=1.0):
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.28 * len(parts)))
    names, values = [part for part, _ in parts], [value / scale for _, value in parts]
    drawn = axes.barh(names, values, color=BLUE, height=0.65)
    axes.bar_label(drawn, fmt="{:,.0f}", padding=3, fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.set(xlabel=unit, title=title)
    axes.grid(axis="y", visible=False)
    plain_number(axes.xaxis)
    return figure


def size(series):
    return bars(series["size by part"], "libtrophy.so by part", "kB", 1000)


def cpu(series):
    return bars(series["instructions by part"], "One event: instructions outside the kernel, by part", "instructions")


# The file, what draws it, and the series that it needs one of.
PLOTS = (
    ("host-thread", host_thread, ("host thread",)),
    ("latency", latency, ("latency, plain", "latency, TLS")),
    ("power", power, ("power",)),
    ("drain", drain, ("drain",)),
    ("cold-start", cold_start, ("cold start",)),
    ("size", size, ("size by part",)),
    ("cpu", cpu, ("instructions by part",)),
)


def main():
    series = json.loads(Path(sys.argv[1]).read_text())["series"]
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw, needs in PLOTS:
        if any(series.get(need) for need in needs):
            figure = draw(series)
            figure.savefig(folder / f"bench-{name}.svg", metadata={"Date": None, "Creator": None}, transparent=True)
            plt.close(figure)


if __name__ == "__main__":
    main()
