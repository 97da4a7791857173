"""A chat that only says lines of its own: what stands in it, and where."""

from __future__ import annotations


class Chat:
    """Implements `Messenger`; each of `troubles` is raised once, in order."""

    def __init__(self, *troubles: Exception) -> None:
        self.said: list[tuple[str | None, str]] = []  #: (where, text); an edit takes the place of what stood there
        self.troubles = list(troubles)

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        if self.troubles:
            raise self.troubles.pop(0)
        if instead_of:
            place = int(instead_of.rpartition(":")[2])
            self.said[place] = (self.said[place][0], text)
            return instead_of
        self.said.append((to, text))
        return f"room:{len(self.said) - 1}"
