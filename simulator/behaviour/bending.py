"""Changes to the current segment: its past stays, its future moves. Pure."""

from dataclasses import replace

import numpy as np

from simulator.behaviour import cycles
from simulator.behaviour.segments import Kind, Segment


def cut(segment: Segment, at_ns: int) -> Segment:
    """The segment, ended at `at_ns`; the piece in the machine keeps its remaining processing time."""
    if segment.kind != Kind.RUN:
        return replace(segment, end_ns=at_ns)
    count = int(np.searchsorted(segment.done_ns, at_ns, "right"))
    if count < len(segment.done_ns):
        left_ns = int(segment.done_ns[count]) - at_ns
    else:
        left_ns = segment.end_ns - at_ns + (segment.left_ns or 0)
    return replace(
        segment, end_ns=at_ns, done_ns=segment.done_ns[:count], rejects=segment.rejects[:count], left_ns=left_ns
    )


def cut_at_completion(segment: Segment, at_ns: int, *, held: bool) -> Segment:
    """The run, ended when the piece that is due at `at_ns` is finished; held: it is completed at the restart."""
    count = int(np.searchsorted(segment.done_ns, at_ns)) + (0 if held else 1)
    return replace(
        segment,
        end_ns=at_ns,
        done_ns=segment.done_ns[:count],
        rejects=segment.rejects[:count],
        left_ns=0 if held else None,
    )


def quiet_run(segment: Segment, now_ns: int, quiet: tuple[int, ...]) -> Segment:
    """The run with its coming cycles moved out of the quiet instants."""
    done_ns = segment.done_ns
    first = int(np.searchsorted(done_ns, now_ns, "right"))
    if first == len(done_ns):
        return segment
    bent_ns = np.concatenate([done_ns[:first], cycles.stretched(done_ns[first:], quiet)])
    later_ns = int(bent_ns[-1] - done_ns[-1])
    if later_ns == 0:
        return segment
    if not segment.left_ns:  # the run ends with a piece, and so later
        return replace(segment, done_ns=bent_ns, end_ns=segment.end_ns + later_ns)
    ends_ns = np.append(bent_ns, segment.end_ns + segment.left_ns + later_ns)
    count = int(np.searchsorted(bent_ns, segment.end_ns, "right"))
    left_ns = int(ends_ns[count]) - segment.end_ns
    return replace(segment, done_ns=bent_ns[:count], rejects=segment.rejects[:count], left_ns=left_ns)
