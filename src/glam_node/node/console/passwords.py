"""Compares passwords one at a time, so that nothing else of the console waits for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from glam_node.node.domain.account import Account
from glam_node.node.workflow.accounts import is_password

MOST_WAITING = 16


class Passwords:
    """A thread of its own, since one comparison takes 64 MiB and a tenth of a second or more."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "password")
        self._waiting = 0

    async def compare(self, account: Account | None, password: str) -> bool | None:
        """Return whether it is the password of the account; None where too many others wait for an answer."""
        if self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, is_password, account, password)
        finally:
            self._waiting -= 1
