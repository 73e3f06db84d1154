import pytest
from sim_moments import NOW, NOW_NS

from simulator import demo
from simulator.plant import Plant


@pytest.fixture(scope="session")
def month():
    """Thirty days of the demo factory. Read only."""
    plant = Plant(demo.factory(NOW))
    plant.advance(NOW_NS)
    return plant


@pytest.fixture
def two_days():
    """Two days of the demo factory, to be played with."""
    plant = Plant(demo.factory(NOW, history_days=2))
    plant.advance(NOW_NS)
    return plant
