"""Places for heavy questions, and how many declarations may wait: what one viewer cannot take from the others."""

import asyncio

import pytest
from accounts_plant import Plant, bearer
from postgres_plant import KINDS, database_url

from center.database import declarations
from center.database.declarations import MOST_OPEN, TooManyOpen, insert_declarations, open_declarations, record_outcomes
from center.runtime.places import Places, TooManyQuestions
from oee.model.declarations import Declaration


async def test_a_viewer_has_two_places_and_a_queue_and_takes_none_of_another_s():
    places, go_on, inside, most = (
        Places(at_once=2, waiting=3),
        asyncio.Event(),
        {"an": 0, "lan": 0},
        {"an": 0, "lan": 0},
    )

    async def ask(who):
        async with places.of(who):
            inside[who] += 1
            most[who] = max(most[who], inside[who])
            await go_on.wait()
            inside[who] -= 1

    asking = [asyncio.create_task(ask("an")) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyQuestions):
        await ask("an")
    other = asyncio.create_task(ask("lan"))
    await asyncio.sleep(0)
    assert inside == {"an": 2, "lan": 1}
    asking[4].cancel()  # who has gone takes no place
    await asyncio.wait([asking[4]])
    asking[4] = asyncio.create_task(ask("an"))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*asking, other)
    assert most == {"an": 2, "lan": 1}
    assert places._of == {}


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path, f"sqlite:///{tmp_path}/a.sqlite")
    yield made
    made.close()


def test_a_question_too_many_is_a_429(plant):
    plant.app.state.places = Places(at_once=1, waiting=-1)
    held = bearer(plant.token("grafana", ["hoa-binh"]))
    answer = plant.browser().get("/api/v1/trend?site=hoa-binh", headers=held)
    assert (answer.status_code, answer.json()["error"]) == (429, "too_many")
    assert plant.browser().get("/api/v1/sites", headers=held).status_code == 200


@pytest.mark.parametrize(("years", "status"), [(2, 200), (4, 422)])
def test_a_file_holds_three_years_at_most(plant, years, status):
    held = bearer(plant.token("grafana", ["hoa-binh"]))
    window = f"from=2024-01-01&to={2024 + years}-01-01&bucket=day"
    answer = plant.browser().get(f"/api/v1/trend?site=hoa-binh&{window}&format=csv", headers=held)
    assert answer.status_code == status, answer.text
    assert plant.browser().get(f"/api/v1/trend?site=hoa-binh&{window}", headers=held).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_declarations_that_wait_are_bounded_by_machine(kind, tmp_path):
    engine = open_declarations(database_url(kind, tmp_path))

    def declare(machine="press-1", name=""):
        item = Declaration(name or declarations.new_id(), 1, machine, 1, 2, "reason", "die-jam", "an", "", "")
        return insert_declarations(engine, "van-long", "main", [item])[0]

    made = [declare() for _ in range(MOST_OPEN)]
    with pytest.raises(TooManyOpen, match="press-1"):
        declare()
    assert declare(name=made[0].row.id).row == made[0].row  # one that is there already
    declare("press-2")
    assert record_outcomes(engine, "van-long", "main", {made[3].row.id: ""}, 3) == 1
    declare()
    with pytest.raises(TooManyOpen):
        declare()
    back = Declaration(declarations.new_id(), 1, "press-1", 1, 2, "reason", "", "an", "", made[0].row.id)
    assert insert_declarations(engine, "van-long", "main", [back])  # taking one back makes no more work than it saves
    many = [Declaration(declarations.new_id(), 1, "press-3", 1, 2, "reason", "die-jam", "an") for _ in range(200)]
    assert len(insert_declarations(engine, "van-long", "main", many)) == 200  # one form
    engine.dispose()
