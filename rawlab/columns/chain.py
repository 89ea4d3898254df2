"""A chain of headers, each saying where the next one lies, followed from many places at once.

To follow a chain takes one step after the other. So guesses are made of where some of the headers further on lie, and
from each of those a lane is followed, all lanes a step at a time (numpy). A lane ends where the next one begins; if it
comes to lie exactly there, the two are joined. Where a guess was wrong, no lane comes to lie on it: from the lane
before it the chain is followed alone, until it meets the beginning of a lane further on. So what is given is the chain
from the first header, whatever the guesses were; they only make it fast.

Each header is looked at once, with octets behind it: to fetch them from memory is what takes the time.

What does not belong here: what a header says, and whether it may say so (`columns.records`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.columns.octets import Places

Heads = npt.NDArray[np.void]
Look = Callable[[Places], Heads]
"the headers at these places, which ascend"
Size = Callable[[Heads], npt.NDArray[np.integer[Any]]]
"of each header, how much further on the next one lies: at least one octet"
_STEPS, _LOOKED_AT = 256, 4
"steps that there is room for, to begin with; of so many, the one at which it is seen whether lanes are through"
_MOST = 1 << 18
"headers that are kept while lanes are followed; where one lane has too many, the chain ends for now"


def follow(first: int, guesses: Places, stop: int, look: Look, size: Size) -> tuple[Places, Heads, int]:
    """The chain's places from `first` to below `stop`, their headers, and the place behind them."""
    starts = np.concatenate(([np.int64(first)], guesses[(guesses > first) & (guesses < stop)]))
    bounds = np.append(starts[1:], stop)
    grid, heads = _lanes(starts, bounds, look, size)
    own = grid < bounds
    last = np.count_nonzero(own, axis=0) - 1, np.arange(len(starts))
    ends = grid[last] + size(heads[last])
    if bool((unfinished := ends < bounds).any()):
        lanes = int(unfinished.argmax()) + 1
        starts, own, ends = starts[:lanes], own[:, :lanes], ends[:lanes]
        stop = int(ends[-1])
    if bool((ends[:-1] == starts[1:]).all()):
        order = np.arange(grid.size).reshape(grid.shape)[:, : len(starts)].T[own.T]
        return grid.take(order), heads.take(order), int(ends[-1])
    places, end = _joined(stop, look, size, starts, ends, [grid[:, lane][own[:, lane]] for lane in range(len(starts))])
    return places, look(places), end


def _lanes(starts: Places, bounds: Places, look: Look, size: Size) -> tuple[Places, Heads]:
    """The places of all lanes and the headers there, a row a step; a lane that is through waits at its bound."""
    now = look(starts)
    places, octets = np.empty((_STEPS, len(starts)), np.int64), np.empty((_STEPS, now.nbytes), np.uint8)
    places[0], octets[0] = starts, now.view(np.uint8)
    steps = 1
    while steps < max(_MOST // len(starts), 2):
        at = places[steps - 1] + size(now)
        np.minimum(at, bounds, out=at)
        if steps % _LOOKED_AT == 0 and bool((at == bounds).all()):
            break
        if steps == len(places):
            places, octets = np.concatenate((places, places)), np.concatenate((octets, octets))
        now = look(at)
        places[steps], octets[steps] = at, now.view(np.uint8)
        steps += 1
    return places[:steps], octets[:steps].view(now.dtype)


def _joined(
    stop: int, look: Look, size: Size, starts: Places, ends: Places, lanes: list[Places]
) -> tuple[Places, int]:
    """The lanes that hang together from the first on; between those that do not, the chain followed alone."""
    lane_at = {int(start): lane for lane, start in enumerate(starts)}
    parts, lane, at = [lanes[0]], 0, int(ends[0])
    while at < stop:
        alone = []
        while at < stop and at not in lane_at:
            alone.append(at)
            at += int(size(look(np.array([at])))[0])
        parts.append(np.array(alone, np.int64))
        if at < stop:
            lane = lane_at[at]
            parts.append(lanes[lane])
            at = int(ends[lane])
    return np.concatenate(parts), at
