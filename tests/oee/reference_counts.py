"""Counter steps of the second-by-second reference, one row after the other. Written from docs/design/0020-counters.md."""

from dataclasses import dataclass

from oee.model.states import Quality

S = 1_000_000_000
REMEMBERED, BRIEF, LEVELS = 3600, 60, 4


@dataclass
class Piece:
    """One counter step. role: total, good or reject; count: pieces; cycles: counts; lost: since when nobody had
    watched the counter, or None."""

    t: int
    role: str
    count: int
    cycles: int
    lost: int | None


class Law:
    """How far a counter may go."""

    def __init__(self, machine, role, counter):
        polls = counter.poll_ns // S
        self.rate = self.away = counter.max_per_s
        self.slack, self.held, self.fresh, self.most_ran, self.learns = 1, max(10, polls), max(10, polls), 0, False
        whole = role == "total" or (role == "good" and machine.pieces.total is None)
        rates = [
            1e6 / (ideal.us * ((product.per_count or machine.pieces.per_count) if whole else 1))
            for product in machine.products.values()
            for ideal in product.ideals
        ]
        if counter.guessed and rates:
            self.rate, self.away = 3 * max(rates), 1.5 * max(rates)
            self.slack, self.held, self.most_ran, self.learns = 3, max(60, polls), 900, True

    def learn(self, seconds_a_count):
        self.rate = max(self.rate, 3 / seconds_a_count)
        self.away = max(self.away, 1.5 / seconds_a_count)

    def most(self, since, away):
        """The most counts in so many seconds."""
        return int(self.rate * since + self.away * away) + self.slack


class Register:
    """A counter's register. able: seconds in which the machine ran or nobody knows."""

    def __init__(self, machine, role, counter, able):
        self.law, self.role, self.bits, self.able = Law(machine, role, counter), role, counter.bits, able
        self.recorded = counter.recorded or not counter.poll_ns
        self.value = self.changed = self.seen = None
        self.left, self.stray, self.refused, self.pieces = [], False, [], []

    @property
    def stood(self):
        """Since when the value may have stood there: nobody knows it of a first value."""
        return self.since_when - (self.law.held if self.new and self.law.learns else 0)

    def since(self, known, seen, stood):
        """The time in which more may have been made than was shown."""
        ran = self.ran(self.changed, known) if self.law.most_ran else 0
        return min(known - stood, self.law.held + known - seen + min(ran, self.law.most_ran))

    def ran(self, first, last):
        return sum(1 for t in range(first, last) if t in self.able)

    def look(self, t, value, lost):
        """lost: the first row that was not good since the last look, or None."""
        if self.value is None:
            self.value, self.seen, self.since_when, self.changed, self.new = value, t, t, t, True
            return
        for level in self.left:
            level["lost"] = lost if level["lost"] is None else level["lost"]
        if value != self.value:
            known = t if lost is None else lost
            seen = self.seen if self.recorded and lost is None else known
            self.left = [
                level for level in self.left if (seen if level["lost"] is None else t) - level["left"] <= REMEMBERED
            ]
            stood, ran_since = self.stood, self.changed
            changed = lost if lost is not None else (self.seen if self.recorded else t)
            kind, made, since = self.decide(t, value, lost, known, seen)
            for level in self.left:
                level["made"] += made
            if kind in ("reset", "jump"):
                self.left.append(
                    {"value": self.value, "since": self.since(known, seen, stood), "away": t - known, "left": t,
                     "lost": lost, "made": made, "reset": kind == "reset",
                     "stood": (stood, ran_since), "moved": (changed, changed)}
                )  # fmt: skip
                self.left = self.left[-LEVELS:]
            if kind == "reset" or (kind == "jump" and value < self.value):
                self.refused = []
            self.stray = kind in ("reset", "jump")
            if made:
                self.pieces.append(Piece(t, self.role, made, made, since))
            self.value, self.new = value, kind == "jump"
            self.since_when, self.changed = self.back_at if kind == "return" else (changed, changed)
        self.seen = t

    def decide(self, t, value, lost, known, seen):
        step, most = value - self.value, self.law.most(self.since(known, seen, self.stood), t - known)
        if self.stray and self.left:
            latest = self.left[-1]
            few = latest["reset"] and step <= 3
            soon = value >= latest["value"] and t - latest["left"] <= BRIEF and not few
            if soon and (back := self.back(t, value, lost)):
                return back
        wrapped = step % 2**self.bits if self.bits and step < 0 else step
        for made in (step, wrapped):
            if 0 <= made <= most:
                if self.refused and t - self.changed > 3 * max(pace for _, pace in self.refused) * made:
                    self.refused = []
                return "forward", made, lost
        if back := self.back(t, value, lost):
            return back
        if step < 0 and 0 <= value <= self.law.most(
            min(known - self.changed, self.law.fresh + known - seen), t - known
        ):
            return "reset", value, lost
        return self.pace(t, step, lost)

    def back(self, t, value, lost):
        for place in reversed(range(len(self.left))):
            level = self.left[place]
            ahead = value - level["value"]
            ahead = ahead % 2**self.bits if ahead < 0 and self.bits else ahead
            if not 0 <= ahead <= self.law.most(level["since"] + t - level["left"], level["away"]):
                continue
            self.back_at = level["moved"] if ahead else level["stood"]
            since = lost if level["lost"] is None else t if level["made"] else level["lost"]
            self.left, self.refused = self.left[:place], []
            return "return", max(0, ahead - level["made"]), since
        return None

    def pace(self, t, step, lost):
        pace = (t - self.changed) / max(step, 1)
        if step < 0 or lost is not None or not self.law.learns or pace < 0.01:
            self.refused = []
            return "jump", 0, None
        slowest = max((item for _, item in self.refused), default=0)
        alike = self.refused and pace <= 3 * slowest and slowest <= 3 * pace
        self.refused = [*(self.refused if alike else []), (step, pace)]
        if len(self.refused) < 3:
            return "jump", 0, None
        made = sum(count for count, _ in self.refused)
        self.law.learn(max(item for _, item in self.refused))
        self.left, self.refused = [], []
        return "pace", made, lost


def steps(machine, role, counter, series, able):
    """Pieces of a counter."""
    register, lost = Register(machine, role, counter, able), None
    for t, value, quality in series:
        if quality <= Quality.UNCERTAIN:
            register.look(t, value, lost)
            lost = None
        elif lost is None and register.value is not None:
            lost = t
    return register.pieces
