"""Factory files, the calendar made of them, and the site file of the demo."""

from datetime import UTC, datetime, timedelta

import pytest
from ruamel.yaml import YAML
from sim_moments import NOW

import config
from simulator import demo
from simulator.factory import BadFactory, dump, load, to_ns
from simulator.plc.signals import PLCS
from simulator.timetable import Timetable, Wanted


def test_a_factory_file_comes_back_as_it_was(tmp_path):
    factory = demo.factory(NOW)
    dump(factory, tmp_path / "factory.yaml")
    assert load(tmp_path / "factory.yaml") == factory


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: data.update(timezone="Asia/Saigonn"), "timezone 'Asia/Saigonn' is unknown"),
        (lambda data: data.update(sed=3), "sed: Extra inputs"),
        (lambda data: data["machines"][1].update(id="press-1"), "press-1 occurs twice"),
        (lambda data: data["machines"][3].update(cavities=7), "does not divide into 7 pieces"),
        (lambda data: data["machines"][5].update(products=data["machines"][4]["products"]), "give it one product"),
        (lambda data: data["machines"][3].update(plc="pulse"), "a pulse counter shows no product"),
        (lambda data: data["shifts"][0].update(start="25:00"), "shifts.0.start"),
        (lambda data: data["machines"][0]["habits"]["events"]["minor"].update(every_s=0), "greater than 0"),
    ],
)
def test_a_wrong_factory_file_says_where(tmp_path, change, complaint):
    data = demo.factory(NOW).model_dump(mode="json")
    change(data)
    path = tmp_path / "factory.yaml"
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(data, file)
    with pytest.raises(BadFactory) as refused:
        load(path)
    assert complaint in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_file_and_no_yaml_are_told(tmp_path):
    with pytest.raises(BadFactory, match="No such file"):
        load(tmp_path / "nothing.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(BadFactory, match="no YAML"):
        load(tmp_path / "bad.yaml")


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("weekday", range(7))
def test_the_demo_is_alive_at_any_hour_of_any_day(hour, weekday):
    now = datetime(2026, 5, 11, tzinfo=UTC) + timedelta(days=weekday, hours=hour, minutes=10)
    table = Timetable(demo.factory(now, history_days=1))
    for minute in range(60):
        assert table.wanted[table.at(to_ns(now + timedelta(minutes=minute)))] == Wanted.SCHEDULED
    tomorrow = to_ns(now + timedelta(days=1))
    assert table.wanted[table.at(tomorrow)] != Wanted.OUTSIDE


def test_the_timetable_knows_nights_breaks_and_closed_days():
    factory = demo.factory(NOW, weekly_day_off="sun")
    table = Timetable(factory)
    week = [to_ns(datetime(2026, 5, 4, tzinfo=UTC)), to_ns(datetime(2026, 5, 11, tzinfo=UTC))]
    scheduled = table.scheduled_before(week[1]) - table.scheduled_before(week[0])
    assert scheduled == 6 * (24 * 60 - 90) * 60 * 10**9
    sunday_6 = to_ns(datetime(2026, 5, 9, 23, tzinfo=UTC))
    assert table.wanted[table.at(sunday_6)] == Wanted.OUTSIDE
    assert table.shift[table.at(sunday_6 - 1)] == "C"
    assert table.next_scheduled(sunday_6) == sunday_6 + 86_400 * 10**9


def test_the_demos_site_file_loads_and_names_every_tag(tmp_path):
    factory = demo.factory(NOW)
    ports = {
        spec.device: "opc.tcp://127.0.0.1:4840" if PLCS[spec.plc].protocol == "opcua" else "127.0.0.1:5020"
        for spec in factory.machines
    }
    path = tmp_path / "site.yaml"
    with path.open("w") as file:
        YAML().dump(demo.site(ports, "mqtt://127.0.0.1:1883", factory, username="song-hong.main"), file)
    site = config.load_site(path)
    machines = config.compile_site(site, config.load_profiles())
    assert set(machines) == {spec.id for spec in factory.machines}
    for spec in factory.machines:
        model = site.machines[spec.id]
        assert set(site.devices[spec.device].tags) == set(PLCS[spec.plc].places)
        assert model.minor_stop_at_most == spec.minor_limit_s
        for product in spec.products:
            (ideal,) = machines[spec.id].products[str(product.number)].ideals
            assert ideal.us * spec.cavities == round(product.ideal_s * 1e6)
