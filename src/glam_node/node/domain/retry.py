"""When to try again."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with a longest wait and a last attempt."""

    initial_delay_s: float
    multiplier: float
    maximum_delay_s: float
    maximum_attempts: int

    def next_attempt_at(self, attempt: int, now: datetime) -> datetime | None:
        """When to try again after `attempt` (1, 2, ...) tries, or None to give up."""
        if attempt >= self.maximum_attempts:
            return None
        return now + self.delay(attempt)

    def delay(self, attempt: int) -> timedelta:
        """Return how long to wait after `attempt` (1, 2, ...) tries, however many there have been."""
        exponent = min(attempt - 1, 64)
        return timedelta(seconds=min(self.initial_delay_s * self.multiplier**exponent, self.maximum_delay_s))
