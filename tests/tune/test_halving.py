"""Successive halving without Ray: known answers, and what holds whatever trials report."""

import math
from collections import deque
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune.halving import Halving
from tune.journal import JournalTrial
from tune.schedulers import Brackets, bracket_of
from tune.settings import SchedulerSettings

FACTORS = st.sampled_from([1.5, 2.0, 2.5, 3.0, 4.0, 10.0])
#: Few different values, so that ties are many.
VALUES = st.lists(st.sampled_from([math.nan, -1.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5]), max_size=40)


def brackets_of(kind="asha", *, max_epochs=45, before=(), **options):
    options = {"grace_period": 5, "reduction_factor": 3.0, **options}
    settings = SchedulerSettings(kind=kind, **options)
    return Brackets(settings, max_epochs=max_epochs, before=before)


def rank_of(number, values):
    """Rank of a trial by hand: a NaN is worse than any number, of equal ones the first is ahead."""
    keys = [(math.isnan(v), 0.0 if math.isnan(v) else -v, i) for i, v in enumerate(values)]
    return 1 + sum(key < keys[number] for key in keys)


class TestRung:
    """Of three trials one goes on."""

    def test_of_three_the_best_goes_on_wherever_it_comes(self):
        best_first = Halving([5], 3.0)
        assert [best_first.report(i, 5, v) for i, v in enumerate((0.3, 0.2))] == ["hold"] * 2
        assert best_first.settle() == ([], [])
        assert best_first.report(2, 5, 0.1) == "stop"
        assert best_first.settle() == ([0], [])
        assert best_first.held == {1}

        best_last = Halving([5], 3.0)
        told = [best_last.report(i, 5, v) for i, v in enumerate((0.1, 0.2, 0.3))]
        assert told == ["hold", "hold", "on"]
        assert best_last.settle() == ([], [0])
        assert best_last.held == {1}

    def test_a_held_trial_goes_on_when_worse_ones_have_come(self):
        rung, went = Halving([5], 3.0), []
        for number in range(9):  # each worse than all before
            rung.report(number, 5, -number)
            went.append(rung.settle()[0])
        # 2 was stopped at once: when three had come, it was the last of them
        assert went == [[], [], [0], [], [], [1], [], [], []]

    def test_of_equal_trials_the_first_goes_on(self):
        rung = Halving([5], 2.0)
        assert rung.report(0, 5, 0.5) == rung.report(1, 5, 0.5) == "hold"
        assert rung.settle() == ([0], [])
        assert rung.held == {1}

    def test_nan_is_worse_than_any_value(self):
        rung = Halving([5], 2.0)
        assert rung.report(0, 5, math.nan) == "hold"
        assert rung.report(1, 5, -1e9) == "on"
        assert rung.report(2, 5, math.nan) == "stop"
        only = Halving([5], 2.0)
        only.report(0, 5, math.nan)
        assert only.settle(last=True) == ([0], [])

    def test_a_report_that_comes_again_counts_once(self):
        rung = Halving([5], 3.0)
        assert [rung.report(0, 5, v) for v in (0.3, 0.9, 0.3)] == ["hold"] * 3
        assert rung.settle() == ([], [])
        assert rung.report(1, 5, 0.2) == "hold"
        assert rung.report(2, 5, 0.1) == rung.report(2, 5, 9.9) == "stop"
        assert rung.settle() == ([0], [])
        assert rung.report(0, 5, 0.0) == "on"
        for number, value in enumerate((0.6, 0.5, 0.4), start=3):
            rung.report(number, 5, value)
        assert rung.report(0, 5, 0.3) == "on"  # though others have overtaken it

    def test_trials_may_train_until_the_first_rung_and_between_rungs(self):
        halving = Halving([5, 15], 2.0)
        assert halving.report(0, 4, 0.1) == "on"
        assert halving.report(0, 5, 0.1) == "hold"
        halving.settle(last=True)
        assert halving.report(0, 10, -9.0) == "on"
        assert halving.report(0, 15, 0.1) == "hold"
        assert halving.held == {0}

    def test_a_rung_acts_at_the_first_report_from_there_on(self):
        halving = Halving([7, 21], 2.0)
        assert [halving.report(0, epoch, 0.1) for epoch in (5, 10)] == ["on", "hold"]
        # one that jumps over a rung counts in the higher one only
        assert halving.report(1, 25, 0.0) == "hold"
        assert halving.report(2, 10, 0.2) == "on"
        assert halving.report(3, 25, 0.1) == "on"

    def test_the_last_share_of_a_trial_is_a_whole_one(self):
        rung = Halving([5], 3.0)
        for number, value in enumerate((0.5, 0.4)):
            rung.report(number, 5, value)
        assert rung.settle() == ([], [])
        assert rung.settle(last=True) == ([0], [])
        assert rung.settle(last=True) == ([], [])
        assert rung.held == {1}

    def test_at_the_end_lower_rungs_go_on_first(self):
        halving = Halving([5, 15], 3.0)
        halving.report(0, 5, 0.1)
        halving.report(1, 15, 0.1)
        assert halving.settle(last=True) == ([0], [])
        assert halving.report(0, 15, 0.2) == "hold"
        assert halving.settle(last=True) == ([0], [])
        assert halving.settle(last=True) == ([], [])
        assert halving.held == {1}

    def test_a_trial_that_has_ended_is_not_held_but_counts(self):
        rung = Halving([5], 3.0)
        for number, value in enumerate((0.5, 0.4)):
            rung.report(number, 5, value)
        rung.forget(0)
        assert rung.held == {1}
        assert rung.report(2, 5, 0.45) == "hold"
        assert rung.settle() == ([], [1])

    def test_without_rungs_all_go_on(self):
        nothing = Halving([], 3.0)
        assert [nothing.report(i, 5, 0.1) for i in range(9)] == ["on"] * 9
        assert nothing.settle(last=True) == ([], [])


class TestRungAlways:
    @given(values=VALUES, factor=FACTORS)
    def test_those_go_on_that_were_once_among_the_best(self, values, factor):
        rung, went, stopped = Halving([1], factor), set(), set()
        expected_went, expected_stopped = set(), set()
        for number, value in enumerate(values):
            before = len(went)
            verdict = rung.report(number, 1, value)
            on, out = rung.settle()
            went |= {number} if verdict == "on" else set()
            stopped |= {number} if verdict == "stop" else set()
            assert not (went | stopped) & {*on, *out}  # decided once
            went.update(on)
            stopped.update(out)

            n = number + 1
            places = math.floor(n / Fraction(factor))
            held_places = max(math.floor(Fraction(3, 2) * n / Fraction(factor)), 2)
            for each in {*range(n)} - expected_went - expected_stopped:
                rank = rank_of(each, values[:n])
                if rank <= places:
                    expected_went.add(each)
                elif rank > held_places:
                    expected_stopped.add(each)
            assert (went, stopped) == (expected_went, expected_stopped)
            assert rung.held == {*range(n)} - went - stopped
            assert len(rung.held) <= max(2, 1.5 * n / factor)
            assert len(went) - before <= 1  # one that comes lets one go on, itself or another
            assert {each for each in went if rank_of(each, values[:n]) == 1} or n < factor

    @given(values=VALUES, factor=FACTORS)
    def test_if_the_order_is_known_no_more_than_a_share_goes_on(self, values, factor):
        falling = sorted((v for v in values if not math.isnan(v)), reverse=True)
        rung, went = Halving([1], factor), 0
        for number, value in enumerate(falling):
            went += rung.report(number, 1, value) == "on"
            went += len(rung.settle()[0])
            assert went <= (number + 1) / factor

    @given(values=VALUES.filter(bool), factor=FACTORS)
    def test_the_best_of_all_goes_on_at_last(self, values, factor):
        rung, went = Halving([1], factor), set()
        for number, value in enumerate(values):
            if rung.report(number, 1, value) == "on":
                went.add(number)
            went.update(rung.settle()[0])
        went.update(rung.settle(last=True)[0])
        best = next(i for i in range(len(values)) if rank_of(i, values) == 1)
        assert best in went


class OneWorker:
    """A study of one worker, of which only the journal survives a kill.

    Trials are evaluated every fifth epoch up to 45. As in Ray, one that goes on says its last
    report once more.
    """

    EPOCHS = range(5, 46, 5)

    def __init__(self, curves, kind="asha", factor=3.0):
        self.curves, self.options = curves, {"kind": kind, "reduction_factor": factor}
        self.trials = {}

    def sit(self, n_reports=math.inf, *, back=0):
        """Search until so many new reports are in the journal, or to the end.

        Args:
            n_reports: At the last of them the driver is killed, before anything is decided.
            back: Epochs by which the checkpoints of an earlier sitting are older than its reports.
        """
        self.left = n_reports
        self.brackets = brackets_of(**self.options, before=[*self.trials.values()])
        waiting = deque(n for n, t in sorted(self.trials.items()) if t.state == "RUNNING")
        self.at = {n: max(self.last(n) - back, 0) for n in waiting}
        new = iter(range(len(self.trials), len(self.curves)))
        while self.left > 0:
            number = waiting.popleft() if waiting else next(new, None)
            if number is not None:
                self.train(number)
            if self.left <= 0:
                return
            on, out = self.brackets.settle(last=number is None)
            waiting.extend(on)
            for each in out:
                self.end(each, "PRUNED")
            if number is None and not on:
                for each, trial in self.trials.items():
                    if trial.state == "RUNNING":
                        self.end(each, "PRUNED")
                return

    def last(self, number):
        return max(self.trials[number].reports, default=0)

    def end(self, number, state):
        self.trials[number] = replace(self.trials[number], state=state)

    def train(self, number):
        trial = self.trials.setdefault(number, JournalTrial(number, {}, "RUNNING", None, {}, None))
        at = self.at.pop(number, self.last(number))
        for epoch in self.EPOCHS:
            if epoch < at:
                continue
            if epoch not in trial.reports:
                trial.reports[epoch] = self.curves[number][epoch // 5 - 1]
                self.left -= 1
                if self.left <= 0:
                    return
            if epoch == self.EPOCHS[-1]:
                self.end(number, "COMPLETE")
                return
            value = trial.reports[epoch]
            verdict = self.brackets.of(number).report(number, epoch, value)
            if verdict == "stop":
                self.end(number, "PRUNED")
            if verdict != "on":
                return

    def lived(self):
        return [self.last(number) for number in range(len(self.trials))]


def flat(*heights):
    return [[height] * 9 for height in heights]


KINDS = st.sampled_from(["asha", "hyperband"])
CURVES = st.lists(
    st.lists(st.integers(0, 6).map(float), min_size=9, max_size=9), min_size=1, max_size=14
)


class TestStudy:
    def test_rungs_of_one_worker(self):
        # rungs at 5, 15 and no more: 45 is the end; the best goes to the end from any place
        falling = OneWorker(flat(*(0.9 - 0.1 * i for i in range(9))))
        falling.sit()
        assert falling.lived() == [45, 15, 5, 5, 5, 5, 5, 5, 5]
        rising = OneWorker(flat(*(0.1 + 0.1 * i for i in range(9))))
        rising.sit()
        assert rising.lived()[:2] == [5, 5]
        assert rising.lived()[-1] == 45

    def test_a_single_trial_runs_to_its_end(self):
        alone = OneWorker(flat(0.1))
        alone.sit()
        assert alone.lived() == [45]
        assert alone.trials[0].state == "COMPLETE"

    @given(curves=CURVES, factor=FACTORS)
    def test_of_every_rung_one_goes_on(self, curves, factor):
        study = OneWorker(curves, factor=factor)
        study.sit()
        assert max(study.lived()) == 45
        assert {trial.state for trial in study.trials.values()} <= {"COMPLETE", "PRUNED"}

    @given(heights=st.lists(st.integers(0, 9).map(float), min_size=1, max_size=20), factor=FACTORS)
    def test_where_early_values_tell_all_the_best_is_found(self, heights, factor):
        study = OneWorker(flat(*heights), factor=factor)
        study.sit()
        assert study.lived()[heights.index(max(heights))] == 45

    @given(
        curves=CURVES,
        kind=KINDS,
        factor=FACTORS,
        share=st.floats(0.0, 1.0),
        back=st.sampled_from([0, 5, 15]),
    )
    def test_killed_anywhere_a_study_goes_on_as_if_undisturbed(
        self, curves, kind, factor, share, back
    ):
        undisturbed = OneWorker(curves, kind, factor)
        undisturbed.sit()
        resumed = OneWorker(curves, kind, factor)
        n_reports = sum(len(trial.reports) for trial in undisturbed.trials.values())
        resumed.sit(max(1, round(share * n_reports)))
        resumed.sit(back=back)
        assert resumed.trials == undisturbed.trials


def ended(number, value, *, last=45, state="COMPLETE"):
    reports = dict.fromkeys(range(5, last + 1, 5), value)
    return JournalTrial(number, {}, state, value, reports, None)


class TestBrackets:
    @pytest.mark.parametrize("kind", ["asha", "hyperband"])
    def test_trials_are_compared_with_those_of_earlier_sittings(self, kind):
        before = [ended(number, 0.8) for number in range(8)]
        before += [JournalTrial(number, {}, "FAIL", None, {}, None) for number in (8, 9)]
        assert brackets_of(kind).of(10).report(10, 5, 0.1) == "hold"
        assert brackets_of(kind, before=before).of(10).report(10, 5, 0.1) == "stop"
        assert brackets_of(kind, before=before).of(10).report(10, 5, 0.9) == "on"

    def test_one_that_was_let_through_goes_on(self):
        # it had reported beyond the rung, and is the worst of all by now
        before = [ended(0, 0.1, last=10, state="RUNNING")]
        before += [ended(number, 0.8) for number in range(1, 9)]
        assert brackets_of(before=before).of(0).report(0, 10, 0.1) == "on"
        held = [ended(0, 0.1, last=5, state="RUNNING"), *before[1:]]
        assert brackets_of(before=held).of(0).report(0, 5, 0.1) == "stop"

    def test_a_late_report_enters_no_rung_below_it(self):
        brackets = brackets_of(before=[ended(0, 0.5, last=10, state="RUNNING")])
        assert brackets.of(0).report(0, 15, 0.5) == "hold"
        # the lower rung holds one value, the higher one the other
        assert brackets.of(1).report(1, 5, 0.4) == "hold"
        assert brackets.of(2).report(2, 15, 0.4) == "hold"
        assert brackets.settle(last=True) == ([0], [])

    def test_a_grace_period_beyond_the_last_epoch_holds_none(self):
        brackets = brackets_of(grace_period=50)
        told = [brackets.of(n).report(n, e, -n) for n in range(9) for e in (5, 40)]
        assert told == ["on"] * 18

    def test_hyperband_halves_later_in_later_brackets(self):
        brackets = brackets_of("hyperband", max_epochs=60)  # rungs at 5, 15 and 45
        for first, bracket in ((5, 0), (15, 1), (45, 2)):
            number = next(n for n in range(9) if bracket_of(n, 3, 3.0) == bracket)
            told = [brackets.of(number).report(number, e, 0.1) for e in range(5, first + 1, 5)]
            assert told == ["on"] * (len(told) - 1) + ["hold"]
        assert sorted(brackets.settle(last=True)[0]) == [0, 1, 3]

    def test_brackets_do_not_compare_with_each_other(self):
        brackets = brackets_of("hyperband", max_epochs=60)
        own = [n for n in range(30) if bracket_of(n, 3, 3.0) == 1]
        for number in set(range(30)) - set(own):
            brackets.of(number).report(number, 15, 9.0)
        assert [brackets.of(n).report(n, 15, 0.1) for n in own[:2]] == ["hold", "hold"]

    @pytest.mark.parametrize(("max_epochs", "factor", "n_rungs"), [(243, 3.0, 5), (1000, 10.0, 3)])
    def test_a_last_bracket_without_a_rung_holds_none(self, max_epochs, factor, n_rungs):
        brackets = brackets_of(
            "hyperband", max_epochs=max_epochs, grace_period=1, reduction_factor=factor
        )
        halves_at = []
        for bracket in range(n_rungs + 1):
            number = next(n for n in range(400) if bracket_of(n, n_rungs + 1, factor) == bracket)
            own = brackets.of(number)
            halves_at.append(
                next(
                    (e for e in range(1, max_epochs) if own.report(number, e, 0.1) == "hold"), None
                )
            )
        assert halves_at == [*(round(factor**s) for s in range(n_rungs)), None]

    def test_shares_are_hyperbands(self):
        brackets = [bracket_of(number, 3, 3.0) for number in range(110)]
        assert [brackets.count(s) for s in range(3)] == [60, 30, 20]
        assert {bracket_of(number, 1, 3.0) for number in range(9)} == {0}
