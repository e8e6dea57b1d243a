"""The echo of the terminal, off while the panel is on it: a typed line would leave stale rows.

What is typed is not lost: the shell reads it after the run.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import termios

_LOCAL = 3  # the index of the local modes in termios attributes (termios(3))


class Echo:
    """The echo of the terminal with the descriptor `terminal`."""

    def __init__(self, terminal: int) -> None:
        self.terminal = terminal
        self.is_off = False
        atexit.register(self.on)

    def off(self) -> None:
        """Switch it off, unless this process is in the background."""
        self.is_off = self._set(False) or self.is_off

    def on(self) -> None:
        """Switch it on again, if it was switched off."""
        if self.is_off:
            self.is_off = not self._set(True)

    def is_in_front(self) -> bool:
        """Whether this process may use the terminal: the shell did not put it in the background."""
        try:
            return os.tcgetpgrp(self.terminal) == os.getpgrp()
        except OSError:  # it is not the terminal of this session
            return True

    def _set(self, on: bool) -> bool:
        """Whether this changed it."""
        with contextlib.suppress(OSError, termios.error):
            # A process in the background would be stopped (SIGTTOU).
            if os.tcgetpgrp(self.terminal) != os.getpgrp():
                return False
            modes = termios.tcgetattr(self.terminal)
            if bool(modes[_LOCAL] & termios.ECHO) == on:
                return False
            modes[_LOCAL] ^= termios.ECHO
            termios.tcsetattr(self.terminal, termios.TCSANOW, modes)
            return True
        return False
