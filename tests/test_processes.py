"""Processes that are started here, and what they may do."""

from attention_limits import processes, training


def tell_cores(answer):
    answer.send(training.cores())
    answer.close()


def test_a_daemon_has_one_core_since_it_may_start_nobody():
    """A worker failed in its first training: it was to start a process a core, and may not."""
    context = processes.context(training.__name__)
    ours, theirs = context.Pipe(duplex=False)
    daemon = context.Process(target=tell_cores, args=(theirs,), daemon=True)
    daemon.start()
    assert ours.poll(300)
    assert ours.recv() == 1
    daemon.join(300)
    for end in (ours, theirs):
        end.close()
