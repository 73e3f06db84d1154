"""A value that cannot stand where it stands, as validators say it."""


class Wrong(ValueError):
    """What is wrong, as a code of the message catalogue (`complaint.<code>`) and the values that its sentences need.

    text: the same in English, for whoever uses a model without the loader.
    """

    def __init__(self, code: str, text: str, **values: object) -> None:
        super().__init__(text)
        self.code = code
        self.values = values
