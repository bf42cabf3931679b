"""Comparison of passwords, one at a time, without delaying other requests."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from glam_node.node.domain.account import Account
from glam_node.node.workflow.operate.accounts import is_password

MOST_WAITING = 16


class Passwords:
    """A separate thread for comparisons, each of which takes 64 MiB and a tenth of a second or more."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "password")
        self._waiting = 0

    async def compare(self, account: Account | None, password: str) -> bool | None:
        """Return whether `password` is that of the account; None if too many comparisons are waiting."""
        if self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, is_password, account, password)
        finally:
            self._waiting -= 1
