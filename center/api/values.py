"""HTTP for process values."""

from fastapi import FastAPI

from center.api.parameters import V1, Tags, ValuesQuestion
from center.api.problems import PROBLEMS
from center.queries import values
from center.runtime.state import CenterState


def add_values(app: FastAPI, center: CenterState) -> None:
    """The route."""

    @app.get(f"{V1}/values", responses=PROBLEMS)
    def process_values(question: ValuesQuestion, tags: Tags) -> values.ValuesAnswer:
        """Process values of marked tags, tag by tag."""
        return values.values(center, question, tags)
