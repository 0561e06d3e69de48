"""A property that is computed once, and locks nothing."""

from __future__ import annotations

from threading import Event, Thread

from skraee.threads.kept_property import kept_property


class Counting:
    """Counts how often its property is computed."""

    def __init__(self, wait: Event | None = None) -> None:
        self.n_computed = 0
        self.begun = Event()
        self.wait = wait

    @kept_property
    def value(self) -> object:
        """Return a new object."""
        self.n_computed += 1
        self.begun.set()
        if self.wait is not None and self.n_computed == 1:
            self.wait.wait()
        return object()


def test_property_is_computed_once_for_each_instance() -> None:
    first, second = Counting(), Counting()
    assert first.value is first.value
    assert first.value is not second.value
    assert first.n_computed == 1


def test_property_shows_itself_on_the_class() -> None:
    assert isinstance(Counting.value, kept_property)
    assert Counting.value.__doc__ == "Return a new object."


def test_thread_does_not_wait_for_another_and_both_have_the_same() -> None:
    until = Event()
    counting = Counting(until)
    found: list[object] = []
    thread = Thread(target=lambda: found.append(counting.value))
    thread.start()
    counting.begun.wait()
    mine = counting.value
    until.set()
    thread.join()
    assert found == [mine]
    assert counting.value is mine
    assert counting.n_computed == 2
