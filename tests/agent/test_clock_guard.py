"""The clock guard's laws: honest witnesses lead to the truth, and nothing else moves gateway time."""

from hypothesis import given
from hypothesis import strategies as st

from agent.clock.guard import PATIENCE_NS, SLEW_NS, SLEW_PER_S, Guard, RoundTrip, S, TimeEvidence, Witness

TRUE_BASE = 1_795_000_000 * S
HOUR = 3600 * S
EPOCHS = (0, 946_684_800 * S, TRUE_BASE - HOUR, TRUE_BASE + 5 * HOUR)

witnesses = st.sampled_from([Witness.HARDWARE, Witness.PERSON, Witness.CENTER, Witness.NTP])


def honest(by, mono_ns, width_ns, share):
    """Evidence that contains the truth, which lies at this share of it."""
    earliest_ns = TRUE_BASE + mono_ns - round(width_ns * share)
    return TimeEvidence(by, mono_ns, earliest_ns, earliest_ns + width_ns)


looks = st.lists(
    st.tuples(
        st.integers(1, 600),  # seconds since the look before
        st.sampled_from([0, 0, 0, -HOUR, 3 * HOUR, -50_000 * HOUR]),  # the wall clock is set
        st.lists(st.tuples(witnesses, st.integers(0, 10 * S), st.floats(0, 1)), max_size=2),
    ),
    max_size=40,
)


@given(st.sampled_from(EPOCHS), looks)
def test_honest_witnesses_lead_to_the_truth_and_never_away_from_it(first_base, looks):
    guard, mono, wall = Guard(first_base), 0, first_base
    for seconds, set_by, said in looks:
        mono, wall = mono + seconds * S, wall + seconds * S + set_by
        was, before = guard.trusted, guard.base_ns - TRUE_BASE
        verdict = guard.check(mono, wall, [honest(by, mono, *rest) for by, *rest in said])
        now = guard.base_ns - TRUE_BASE
        assert guard.trusted == (was or bool(said))
        assert verdict.begins == (guard.trusted and not was)
        if verdict.begins:
            best = max(said, key=lambda item: item[0])
            assert abs(now) <= best[1]
        elif was:
            assert abs(now) <= max(abs(before), 5 * S)
            if not verdict.moved_ns:
                assert abs(now - before) <= seconds * S * SLEW_PER_S + 1
        else:
            assert now == before
        assert verdict.moved_ns == 0 or abs(now) <= 10 * S


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(-(10**15), 10**15)), max_size=30))
def test_nobody_is_believed_who_only_sets_the_wall_clock(steps):
    guard, mono, wall = Guard(TRUE_BASE, Witness.PERSON), 0, TRUE_BASE
    for seconds, set_by in steps:
        mono, wall = mono + seconds * S, wall + seconds * S + set_by
        guard.check(mono, wall)
        assert guard.base_ns == TRUE_BASE
        assert guard.wall_error_ns == wall - mono - TRUE_BASE


def settled(by=Witness.CENTER):
    guard = Guard(TRUE_BASE)
    guard.check(S, TRUE_BASE + S, [honest(by, S, 0, 0)])
    return guard


def epoch(by, mono):
    """It says: 1970."""
    return [TimeEvidence(by, mono, mono, mono)]


def test_one_contradiction_moves_nothing_and_a_second_a_minute_later_does():
    guard = settled()

    def contradicted(mono):
        return guard.check(mono, 0, epoch(Witness.CENTER, mono))

    assert contradicted(10 * S).moved_ns == 0
    assert guard.error_ns == TRUE_BASE
    assert contradicted(10 * S + PATIENCE_NS - 1).moved_ns == 0
    assert contradicted(10 * S + PATIENCE_NS).moved_ns == -TRUE_BASE
    assert (guard.base_ns, guard.moves, guard.last_move_ns) == (0, 1, -TRUE_BASE)


def test_a_contradiction_that_was_taken_back_is_forgotten():
    guard = settled()
    guard.check(10 * S, 0, epoch(Witness.CENTER, 10 * S))
    guard.check(20 * S, 0, [honest(Witness.CENTER, 20 * S, S, 0.5)])
    assert guard.check(90 * S, 0, epoch(Witness.CENTER, 90 * S)).moved_ns == 0


def test_a_lower_rank_is_followed_only_when_the_better_one_is_silent():
    guard = settled(Witness.NTP)
    late = 2 * HOUR
    for mono in (10 * S, 100 * S, late):
        assert guard.check(mono, 0, epoch(Witness.CENTER, mono)).moved_ns == 0
    assert guard.check(late + PATIENCE_NS, 0, epoch(Witness.CENTER, late + PATIENCE_NS)).moved_ns
    assert guard.by is Witness.CENTER


def test_whoever_ranks_above_a_person_corrects_one():
    for by in (Witness.CENTER, Witness.NTP):
        guard = settled(Witness.PERSON)
        guard.check(HOUR, 0, epoch(by, HOUR))
        assert guard.check(HOUR + PATIENCE_NS, 0, epoch(by, HOUR + PATIENCE_NS)).moved_ns
        assert guard.by is by


def test_a_slow_crystal_is_led_without_a_step():
    guard, drift = settled(), 0
    for second in range(2, 50_000, 10):
        drift -= 1000 * 1000  # 100 ppm
        mono = second * S
        before = guard.base_ns
        utc = TRUE_BASE + mono + drift
        said = [TimeEvidence(Witness.CENTER, mono, utc, utc)] if second % 600 < 10 else []
        assert guard.check(mono, 0, said).moved_ns == 0
        assert abs(guard.base_ns - before) <= 10 * S * SLEW_PER_S
        assert abs(guard.base_ns - TRUE_BASE - drift) < 100_000_000 < SLEW_NS
    assert guard.moves == 0


def test_a_hardware_clock_without_a_battery_is_not_believed():
    for wrong in (0, 946_684_800 * S):
        guard = Guard(wrong, known_ns=TRUE_BASE)
        guard.check(S, wrong, [TimeEvidence(Witness.HARDWARE, S, wrong, wrong)])
        assert not guard.trusted
    guard.check(2 * S, wrong, [TimeEvidence(Witness.PERSON, 2 * S, TRUE_BASE - S, TRUE_BASE)])
    assert guard.trusted


@given(st.lists(st.tuples(st.integers(0, 30 * S), st.integers(0, 30 * S), st.booleans()), max_size=12))
def test_whatever_the_line_does_the_truth_lies_within_the_answer(trips):
    round_trip, mono = RoundTrip("run"), 0
    old = []
    for there, back, twice in trips:
        token = round_trip.ask(mono)
        told = TRUE_BASE + mono + there
        mono += there + back
        for _ in range(2 if twice else 1):
            evidence = round_trip.answered(token, told, mono)
            if evidence:
                assert there + back <= RoundTrip.MOST_NS
                assert evidence.earliest_ns <= TRUE_BASE + mono <= evidence.latest_ns
                assert token not in old
            old.append(token)
    for token in [*old, "other.1", ""]:  # retained, or meant for an earlier run
        assert RoundTrip("next").answered(token, 0, mono) is None
