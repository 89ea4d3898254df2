"""How far one machine's clock is ahead of another's, by the packets that both captured.

A packet that A sent at a (by A's clock) and B received at b (by B's) took d = b - a - ahead, and d is not negative:

    from A to B:   b - a = ahead + d   >= ahead        each gives an upper bound
    from B to A:   b - a = ahead - d   <= ahead        each gives a lower bound

So the clock of B is ahead by something in [lo, hi]: lo the greatest difference of B's packets, hi the least of A's. In
the middle lies the estimate: exact where the fastest packet took as long forth as back. Where no constant fits, the
clocks drift: all lines ahead(t) = ahead + slope * t that fit between the two sets of points; with none, one of the
clocks was set. Of packets in one direction alone there is one bound only.

    difference of the clocks
      |   .    .  :   .   from A to B: above the line
      |  _._______.____   ahead(t)
      |    '   ,   '      from B to A: below it
      +----------------- time
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_STEPS = 80  # halvings, or thirds, of an interval
STEEPEST = 0.01
"seconds a second: no clock that runs drifts so fast"
Point = tuple[int, int]
"(when by A's clock, B's stamp less A's), in ns"


class NoClock(ValueError):
    """No line fits: a clock was set, or runs wildly; `args[0]` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """How far B's clock is ahead of A's."""

    origin_ns: int
    "the time, by A's clock, at which it is ahead by `ahead_ns`"
    ahead_ns: int
    slope: float = 0.0
    "ns a ns: its drift; 0 where a constant fits"
    least_slope: float = 0.0
    most_slope: float = 0.0
    "the drifts that fit"
    low_ns: int | None = None
    high_ns: int | None = None
    "how much less and more it may be, at any time of the capture; None: nothing bounds it there"

    def at(self, at_ns: int) -> int:
        """How far it is ahead when A's clock shows that."""
        return self.ahead_ns + round(self.slope * (at_ns - self.origin_ns))

    def corrected(self, theirs_ns: int) -> int:
        """A stamp of B's clock, by A's."""
        since_ns = theirs_ns - self.ahead_ns - self.origin_ns
        return theirs_ns - self.ahead_ns - round(since_ns * self.slope / (1 + self.slope))

    @property
    def margin_ns(self) -> int | None:
        """± that; None where it is not bounded on both sides."""
        if self.low_ns is None or self.high_ns is None:
            return None
        return max(self.low_ns, self.high_ns)


def compare(forth: Sequence[Point], back: Sequence[Point], slack_ns: int = 0) -> Ahead:
    """How far B is ahead, by the packets from A to B and from B to A. Raises NoClock.

    `slack_ns`: by how much stamps are cut.
    """
    points = [*forth, *back]
    if not points:
        raise NoClock("no packet is in both")
    origin_ns = (min(at for at, _ in points) + max(at for at, _ in points)) // 2
    base_ns = points[0][1]
    above = [(at - origin_ns, by - base_ns + slack_ns) for at, by in forth]
    below = [(at - origin_ns, by - base_ns - slack_ns) for at, by in back]
    if not above or not below:
        return _one_sided(above, below, origin_ns, base_ns)
    high, low = min(by for _, by in above), max(by for _, by in below)
    upper, lower = _hull(above, -1), _hull(below, 1)
    slopes = _slopes(upper, lower)
    if low <= high:
        return Ahead(
            origin_ns=origin_ns,
            ahead_ns=base_ns + (low + high) // 2,
            least_slope=min(slopes[0], 0.0) if slopes else 0.0,
            most_slope=max(slopes[1], 0.0) if slopes else 0.0,
            low_ns=(low + high) // 2 - low,
            high_ns=high - (low + high) // 2,
        )
    if slopes is None:
        raise NoClock("packets would have arrived before they were sent: one of the clocks was set meanwhile")
    return _drifting(upper, lower, slopes, origin_ns, base_ns)


def _one_sided(above: Sequence[Point], below: Sequence[Point], origin_ns: int, base_ns: int) -> Ahead:
    """The one bound that there is, as if the fastest packet had taken no time."""
    bound = min(by for _, by in above) if above else max(by for _, by in below)
    return Ahead(
        origin_ns=origin_ns,
        ahead_ns=base_ns + bound,
        low_ns=None if above else 0,
        high_ns=0 if above else None,
        least_slope=-STEEPEST,
        most_slope=STEEPEST,
    )


def _drifting(
    upper: Sequence[Point], lower: Sequence[Point], slopes: tuple[float, float], origin_ns: int, base_ns: int
) -> Ahead:
    """The line in the middle of those that fit, and how far any of them is from it at the capture's ends."""
    slope = sum(slopes) / 2
    if abs(slope) >= STEEPEST * 0.99:
        raise NoClock(f"B's clock would gain {slope:+.1%} on A's: no clock does")
    middle = (_room(upper, slope, min) + _room(lower, slope, max)) / 2
    times = [at for at, _ in (*upper, *lower)]
    most, least = 0.0, 0.0
    for at in (min(times), max(times)):
        told = middle + slope * at
        most = max(most, _extreme(lambda s, at=at: _room(upper, s, min) + s * at, slopes) - told)  # type: ignore[misc]
        least = max(least, told + _extreme(lambda s, at=at: -_room(lower, s, max) - s * at, slopes))  # type: ignore[misc]
    return Ahead(
        origin_ns=origin_ns,
        ahead_ns=base_ns + round(middle),
        slope=slope,
        least_slope=slopes[0],
        most_slope=slopes[1],
        low_ns=round(least),
        high_ns=round(most),
    )


def _slopes(upper: Sequence[Point], lower: Sequence[Point]) -> tuple[float, float] | None:
    """The least and the greatest slope of a line above `lower` and below `upper`; None: there is no such line."""

    def gap(slope: float) -> float:
        return _room(upper, slope, min) - _room(lower, slope, max)

    best = _highest(gap, -STEEPEST, STEEPEST)
    if gap(0.0) >= 0:
        best = 0.0
    if gap(best) < 0:
        return None
    return _edge(gap, best, -STEEPEST), _edge(gap, best, STEEPEST)


def _room(points: Sequence[Point], slope: float, choose: Callable[..., float]) -> float:
    """Where a line of that slope that touches the points from one side crosses the origin."""
    return choose(by - slope * at for at, by in points)


def _highest(value: Callable[[float], float], low: float, high: float) -> float:
    """Where a concave function is highest."""
    for _ in range(_STEPS):
        one, other = low + (high - low) / 3, high - (high - low) / 3
        if value(one) < value(other):
            low = one
        else:
            high = other
    return (low + high) / 2


def _extreme(value: Callable[[float], float], slopes: tuple[float, float]) -> float:
    """The highest value of a concave function between two slopes."""
    return value(_highest(value, *slopes))


def _edge(gap: Callable[[float], float], fits: float, away: float) -> float:
    """How far from a slope that fits one may go towards another."""
    if gap(away) >= 0:
        return away
    for _ in range(_STEPS):
        middle = (fits + away) / 2
        if gap(middle) >= 0:
            fits = middle
        else:
            away = middle
    return fits


def _hull(points: Sequence[Point], side: int) -> list[Point]:
    """The points that a line above all (side 1) or below all (side -1) can touch, in order of time."""
    hull: list[Point] = []
    for at, by in sorted(points, key=lambda point: (point[0], -side * point[1])):
        if hull and hull[-1][0] == at:
            continue
        while len(hull) > 1 and _turn(hull[-2], hull[-1], (at, by)) * side >= 0:
            hull.pop()
        hull.append((at, by))
    return hull


def _turn(one: Point, two: Point, three: Point) -> int:
    """Positive where the way from one over two to three turns to the left (up)."""
    return (two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0])
