"""State profiles: each number of each standard becomes the state that the documentation promises."""

import numpy as np
import pytest

import config
from config.templates.state_profiles import rules_of
from oee.model.expressions import evaluate
from oee.model.samples import series
from oee.model.states import Quality, State

PROFILES = config.load_profiles()
ZERO = np.array([0], np.int64)


def state_of(profile, **values):
    """The state by first match, an undetermined rule before it making it unknown."""
    samples = {f"m.{name}": series([(0, value, Quality.GOOD)]) for name, value in values.items() if value is not None}
    for rule in rules_of(PROFILES[profile], {name: f"m.{name}" for name in values}):
        if rule.when is None:
            return rule.state.word
        found = evaluate(rule.when, samples, ZERO)
        if not found.known[0]:
            return "unknown"
        if found.value[0]:
            return rule.state.word
    return "unknown"


PACKML = {
    "running": (6, 16), "starved": (5, 13, 14), "breakdown": (8, 9, 10, 11, 12),
    "unplanned_stop": (1, 2, 3, 4, 7, 15, 17), "unknown": (0, 18, 19, 99),
}  # fmt: skip
TOBACCO = {
    "running": (4, 5), "starved": (11, 12, 13), "breakdown": (7, 8, 14, 15, 16),
    "unplanned_stop": (0, 1, 2, 3, 6, 9, 10), "unknown": (17,),
}  # fmt: skip
EUROMAP = {"running": (4,), "setup": (2, 3, 5), "unplanned_stop": (1,), "unknown": (0,)}
UMH = {
    "running": (10000, 20000), "unknown": (30000, 0), "unplanned_stop": (40000, 50000, 80000, 140000, 190000, 200000),
    "starved": (60000, 90000), "blocked": (70000,), "setup": (100000, 100010, 110000, 120000, 130000),
    "planned_stop": (150000, 160000, 170000, 210000), "breakdown": (180000, 220000),
}  # fmt: skip
TABLES = [
    ("packml", "state", PACKML),
    ("packml-tobacco", "state", TOBACCO),
    ("euromap77", "status", EUROMAP),
    ("euromap83", "status", EUROMAP),
    ("umh", "state", UMH),
    ("machinery-item-state", "state", {"unknown": (0,), "breakdown": (1,), "unplanned_stop": (2,), "running": (3,)}),
    ("machine-tools", "state", {"running": (0,), "unplanned_stop": (1, 2), "unknown": (3,)}),
    (
        "mtconnect",
        "execution",
        {
            "running": ("ACTIVE",),
            "unknown": ("UNAVAILABLE", "nonsense"),
            "unplanned_stop": ("READY", "INTERRUPTED", "FEED_HOLD", "STOPPED", "OPTIONAL_STOP", "PROGRAM_STOPPED",
                               "PROGRAM_COMPLETED", "WAIT", "PROGRAM_OPTIONAL_STOP"),
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "parameter", "number", "word"),
    [(profile, name, number, word) for profile, name, table in TABLES for word in table for number in table[word]],
)
def test_first_parameter_alone(profile, parameter, number, word):
    assert PROFILES[profile].first == parameter
    assert state_of(profile, **{parameter: number}) == word


@pytest.mark.parametrize(
    ("profile", "values", "word"),
    [
        ("packml", {"state": 6, "mode": 1}, "running"),
        ("packml", {"state": 6, "mode": 2}, "planned_stop"),
        ("packml", {"state": 6, "mode": 3}, "setup"),
        ("packml", {"state": 6, "mode": 4}, "running"),
        ("packml", {"state": 5, "blocked": True, "starved": False}, "blocked"),
        ("machinery-item-state", {"state": 3, "mode": 2}, "setup"),
        ("machinery-item-state", {"state": 3, "mode": 3}, "running"),
        ("machinery-item-state", {"state": 1, "mode": 3}, "breakdown"),
        ("machinery-item-state", {"state": 2, "mode": 1}, "planned_stop"),
        ("machinery-item-state", {"state": 0, "mode": 1}, "unknown"),
        ("machine-tools", {"state": 0, "mode": 1}, "running"),
        ("machine-tools", {"state": 0, "mode": 0}, "setup"),
        ("machine-tools", {"state": 2, "mode": 4}, "planned_stop"),
        ("machine-tools", {"state": 0, "channel_mode": 2}, "setup"),
        ("machine-tools", {"state": 1, "alarm": True}, "breakdown"),
        ("mtconnect", {"execution": "ACTIVE", "controller_mode": "AUTOMATIC"}, "running"),
        ("mtconnect", {"execution": "ACTIVE", "controller_mode": "MANUAL_DATA_INPUT"}, "setup"),
        ("mtconnect", {"execution": "ACTIVE", "functional_mode": "SETUP"}, "setup"),
        ("mtconnect", {"execution": "WAIT", "wait_state": "MATERIAL_LOAD"}, "starved"),
        ("mtconnect", {"execution": "WAIT", "wait_state": "PART_UNLOAD"}, "blocked"),
        ("mtconnect", {"execution": "FEED_HOLD", "fault": True}, "breakdown"),
        ("mtconnect", {"execution": "ACTIVE", "availability": "UNAVAILABLE"}, "unknown"),
        ("euromap77", {"status": 4, "mode": 1}, "running"),
        ("euromap77", {"status": 4, "mode": 2}, "running"),
        ("euromap77", {"status": 4, "mode": 4}, "setup"),
        ("euromap77", {"status": 1, "mode": 5}, "planned_stop"),
        ("euromap77", {"status": 1, "alarm": True}, "breakdown"),
    ],
)
def test_with_optional_parameters(profile, values, word):
    assert state_of(profile, **values) == word


@pytest.mark.parametrize("profile", PROFILES)
def test_no_sample_is_unknown(profile):
    assert state_of(profile, **{PROFILES[profile].first: None}) == "unknown"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_profile_names_its_source_and_ends_with_a_rule_for_the_rest(profile):
    assert any(character.isdigit() for source in profile.sources for character in source)
    assert profile.rules[-1].when is None
    assert profile.rules[-1].state is State.UNKNOWN
    assert profile.parameters[profile.first].required
    used = {
        name
        for rule in rules_of(profile, {name: name for name in profile.parameters})
        if rule.when
        for name in rule.when.tags
    }
    assert used == set(profile.parameters)


def test_a_bad_profile_is_refused(tmp_path):
    (tmp_path / "bad.yaml").write_text("""
name: Bad
sources: [nowhere 2020]
parameters: {state: {name: State}}
rules:
  - {when: "stat == 1", is: running}
""")
    (tmp_path / "worse.yaml").write_text("""
name: Worse
sources: []
parameters: {state: {name: State}}
rules:
  - {when: "state ==", is: running}
  - {is: minor_stop}
""")
    with pytest.raises(config.Misconfigured) as caught:
        config.load_profiles(tmp_path)
    assert sorted((item.file, item.code) for item in caught.value.complaints) == [
        ("bad.yaml", "unknown_parameter"),
        ("worse.yaml", "bad_expression"),
        ("worse.yaml", "is_minor_stop"),
        ("worse.yaml", "too_short"),
    ]
