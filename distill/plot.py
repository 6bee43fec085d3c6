"""The deferral curve as a picture (SVG)."""

from collections.abc import Sequence
from pathlib import Path

from router.deferral import DeferralPoint


def deferral_plot(curve: Sequence[DeferralPoint], path: Path, *, title: str) -> None:
    """Accuracy of the cascade over the share deferred, against deferring at random."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only this needs

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "tutelage"  # the same curve gives the same bytes
    from matplotlib import pyplot as plt  # noqa: PLC0415

    deferred = [1 - point.coverage for point in curve]
    accuracy = [point.accuracy for point in curve]
    figure, axes = plt.subplots(figsize=(5.5, 3.5), layout="constrained")
    axes.plot(deferred, accuracy, marker="o", markersize=3, label="least confident first")
    ends = ([deferred[0], deferred[-1]], [accuracy[0], accuracy[-1]])
    axes.plot(*ends, linestyle="--", color="grey", label="at random")
    axes.set(xlabel="share deferred to the teacher", ylabel="accuracy of the cascade", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
