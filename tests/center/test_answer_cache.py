"""The cache that API and console share: one computation for one question, whoever asks and from where."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from center.model.viewer import EVERYTHING, Viewer
from center.queries.question import Question
from center.runtime.answer_cache import AnswerCache


def test_threads_that_ask_the_same_share_one_computation():
    cache, begun, go = AnswerCache(), threading.Event(), threading.Event()
    computed = []

    def compute():
        computed.append(threading.get_ident())
        begun.set()
        assert go.wait(30)
        return b"answer"

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, "key", compute, len)
        assert begun.wait(30)
        others = [pool.submit(cache.get, "key", lambda: pytest.fail("asked twice"), len) for _ in range(3)]
        go.set()
        assert [future.result(30) for future in (first, *others)] == [b"answer"] * 4
    assert len(computed) == 1


def test_a_failure_reaches_all_who_wait_and_is_not_kept():
    cache, begun, go = AnswerCache(), threading.Event(), threading.Event()

    def fail():
        begun.set()
        assert go.wait(30)
        raise ValueError("away")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "key", fail, len)
        assert begun.wait(30)
        second = pool.submit(cache.get, "key", fail, len)
        go.set()
        for future in (first, second):
            with pytest.raises(ValueError, match="away"):
                future.result(30)
    assert cache.get("key", lambda: b"now", len) == b"now"


async def test_what_is_begun_is_the_answer_of_whoever_asks_and_a_failure_is_asked_again():
    cache, answers = AnswerCache(), iter([b"answer", ValueError("away"), b"now"])

    def compute(_what):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    begun = cache.begin(60, compute, "one")
    assert await cache.ask(60, compute, "one") == b"answer"
    assert cache.begin(60, compute, "one") is begun
    with pytest.raises(ValueError, match="away"):
        await asyncio.wrap_future(cache.begin(60, compute, "two"))
    assert await cache.ask(60, compute, "two") == b"now"


async def test_answers_for_a_time_take_no_room_from_those_that_stay():
    now = [0.0]
    cache = AnswerCache(max_bytes=100, clock=lambda: now[0])
    cache.get("stays", lambda: b"x" * 20, len)
    for number in range(50):
        assert await cache.ask(5, str, number) == str(number)
    assert cache.get("stays", lambda: pytest.fail("was dropped"), len) == b"x" * 20


def test_questions_are_keys_and_another_viewer_asks_another_question():
    question = Question(EVERYTHING, "van-long", ("press-1",), bucket="hour")
    assert hash(question) == hash(Question(EVERYTHING, "van-long", ("press-1",), bucket="hour"))
    stranger = Viewer("stranger", frozenset({"van-long"}), frozenset({"read"}))
    assert question != Question(stranger, "van-long", ("press-1",), bucket="hour")


def test_a_settled_question_stays_as_it_is():
    minute = 60_000_000_000
    settled = Question(EVERYTHING, "van-long", start_ns=90_000_000_000).settled(10 * minute)
    assert (settled.start_ns, settled.end_ns, settled.until_now) == (minute, 9 * minute, True)
    assert settled.settled(20 * minute) == settled
    assert not Question(EVERYTHING, "van-long", (), 0, minute).settled(10 * minute).until_now
