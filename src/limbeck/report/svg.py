"""Small parts to draw with: escaped tags, scales and their ticks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """An element; text and attributes are escaped, ``class_`` is class, underscores become hyphens."""
    written = [
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _plain(value))
        for key, value in attributes.items()
        if value is not None
    ]
    inner = Markup().join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), Markup().join(written), inner)


def drawing(width: float, height: float, what: str, children: Iterable[Markup], class_: str = "") -> Markup:
    """A whole picture; ``what`` is read out in its place."""
    box = f"0 0 {_plain(width)} {_plain(height)}"
    label = {"aria-label": what}
    return tag(
        "svg",
        *children,
        viewBox=box,
        width=width,
        height=height,
        role="img",
        class_=f"plot {class_}".strip(),
        **label,
    )


def path(points: Iterable[tuple[float, float]], **attributes: object) -> Markup:
    """An open line through points."""
    return tag("path", d="M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points), **attributes)


@dataclass(frozen=True)
class Scale:
    """Values to pixels.

    Attributes:
        low, high: The values at the ends.
        start, end: The pixels at the ends.
        log: Whether steps on the scale are ratios.
        most: The largest value that there can be: no tick stands above it.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    most: float = math.inf

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int = 5) -> list[float]:
        """About so many round values within the scale: steps of 1, 2 or 5, or, on a log scale, ratios near that."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            ratio = self.high / self.low
            digits = (1, 1.5, 2, 3, 5, 7) if ratio < 10 else (1, 2, 5) if ratio < 10 ** (wanted / 2) else (1,)
            values = [digit * 10.0**decade for decade in decades for digit in digits]
        else:
            rough = (self.high - self.low) / wanted
            power = 10.0 ** math.floor(math.log10(rough))
            step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
            first = math.ceil(self.low / step - 1e-9)
            values = [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        slack = 1e-9 * (self.high - self.low)
        high = min(self.high, self.most) + slack
        return [value for value in values if self.low - slack <= value <= high]


def around(values: Iterable[float], margin: float = 0.08, least: float = 0.0) -> tuple[float, float]:
    """Ends of a scale that holds the values with some room, and spans at least ``least``."""
    values = list(values)
    low, high = min(values), max(values)
    room = max((high - low) * margin, (least - (high - low)) / 2, abs(high) * 1e-3, 1e-9)
    return low - room, high + room


def gutter(y: Scale, y_text: Callable[[float], str]) -> float:
    """Pixels that the labels of the upward axis take, and at least as many as in other pictures."""
    return max(44.0, 14 + 6.7 * max((len(y_text(value)) for value in y.ticks()), default=0))


def frame(
    x: Scale,
    y: Scale,
    x_title: str,
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
    places: Sequence[float] | None = None,
) -> Iterator[Markup]:
    """Grid, ticks (at ``places`` across, if given) and the title of the lower axis; what goes upwards is said above."""
    for value in y.ticks():
        down = y(value)
        yield path([(x.start, down), (x.end, down)], class_="grid")
        yield tag("text", y_text(value), x=x.start - 7, y=down + 4, text_anchor="end", class_="tick")
    wanted = 8 if x.end > 500 else 6 if x.log else 4
    for value in x.ticks(wanted) if places is None else places:
        across = x(value)
        yield path([(across, y.start), (across, y.start + 4)], class_="grid")
        yield tag("text", x_text(value), x=across, y=y.start + 17, text_anchor="middle", class_="tick")
    yield path([(x.start, y.start), (x.end, y.start)], class_="axis")
    yield tag(
        "text", x_title, x=(x.start + x.end) / 2, y=y.start + 35, text_anchor="middle", class_="axis-title"
    )


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
