"""Waiting for conditions. Nothing in this suite sleeps for a guessed time and then hopes."""

import os
import time

# Sanitizer builds and loaded machines are slower: every deadline of the suite is multiplied by this.
SLOWNESS = float(os.environ.get("TIDEGATE_TEST_SLOWNESS", "1"))

DEADLINE_S = 20.0 * SLOWNESS


def until(condition, what, deadline_s=DEADLINE_S, pause_s=0.01):
    """Calls condition() until it returns something true, and returns that; fails with `what` at the deadline.

    An AssertionError inside condition() counts as "not yet"; the last one is shown when time is up.
    """
    end = time.monotonic() + deadline_s
    last = None
    while True:
        try:
            value = condition()
            last = None
            if value:
                return value
        except AssertionError as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"after {deadline_s:.0f} s still not true: {what}" + (f"; last: {last}" if last else ""))
        time.sleep(pause_s)


def holds_for(condition, what, seconds):
    """Fails as soon as condition() is false within `seconds`. For "nothing happens": keep it short, it costs its whole time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"no longer true: {what}"
        time.sleep(0.02)
