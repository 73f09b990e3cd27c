"""A halt during a storm of rollouts: its write precedes the applies that are queued."""

from support.simulation.matrix import halt_in_a_storm

AGENTS, WORKERS = 60, 4


def test_the_write_of_a_halt_precedes_all_queued_applies():
    found = halt_in_a_storm(AGENTS, WORKERS)
    # Only applies that had been sent can arrive in between.
    assert found.between <= WORKERS
    assert found.before + found.between + found.after >= AGENTS
    assert found.before + found.between <= 2 * WORKERS
    assert found.halt_s < 0.1
