import pytest
from fault_books import expected as books_of
from fault_history import FILES


@pytest.fixture(scope="session")
def expected(tmp_path_factory):
    """What the center must hold when all recorded files have arrived, each once."""
    return books_of(tmp_path_factory.mktemp("expected"), (0, FILES))
