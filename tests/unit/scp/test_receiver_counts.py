"""Tests of the counts that the receiver processes of a node share."""

import multiprocessing

from glam_node.node.scp.receiver_counts import PLACES, Place, ReceiverCounts

MAXIMUM = 3
ROUNDS = 200


def test_the_maximum_of_associations_holds_for_all_processes() -> None:
    counts = ReceiverCounts()
    one, other = Place(counts, 0), Place(counts, 1)
    assert [one.associate(MAXIMUM), other.associate(MAXIMUM), one.associate(MAXIMUM)] == [True] * 3
    assert (one.associate(MAXIMUM), other.associate(MAXIMUM)) == (False, False)
    other.dissociate()
    assert one.associate(MAXIMUM)


def test_the_associations_of_a_process_that_exited_are_free_again() -> None:
    counts = ReceiverCounts()
    one, other = Place(counts, 0), Place(counts, 1)
    assert [one.associate(MAXIMUM) for _ in range(MAXIMUM)] == [True] * MAXIMUM
    assert not other.associate(MAXIMUM)
    counts.clear(0)
    assert [other.associate(MAXIMUM) for _ in range(MAXIMUM)] == [True] * MAXIMUM


def test_processes_with_fewer_connections_that_accept_more_go_first() -> None:
    counts = ReceiverCounts()
    one, other = Place(counts, 0), Place(counts, 1)
    one.connect()
    assert (one.is_least_busy(), other.is_least_busy()) == (False, True)
    other.stop_accepting()
    assert one.is_least_busy()
    other.connect()
    other.disconnect()
    assert one.is_least_busy()


def test_every_place_is_taken_once_and_again_when_it_was_given_back() -> None:
    counts = ReceiverCounts()
    taken = [counts.take() for _ in range(PLACES)]
    assert (set(taken), counts.take()) == (set(range(PLACES)), None)
    counts.give_back(7)
    assert counts.take() == 7


def test_processes_that_count_at_the_same_time_never_exceed_the_maximum() -> None:
    counts, context = ReceiverCounts(), multiprocessing.get_context("fork")
    inside, most = context.Value("i", 0), context.Value("i", 0)

    def count(number: int) -> None:
        place = Place(counts, number)
        for _ in range(ROUNDS):
            if place.associate(1):
                with inside.get_lock():
                    inside.value += 1
                    most.value = max(most.value, inside.value)
                with inside.get_lock():
                    inside.value -= 1
                place.dissociate()

    processes = [context.Process(target=count, args=(number,)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (most.value, sum(counts.associations)) == (1, 0)
