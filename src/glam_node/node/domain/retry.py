"""Policy for repeated attempts."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with a maximum delay and a maximum number of attempts."""

    initial_delay_s: float
    multiplier: float
    maximum_delay_s: float
    maximum_attempts: int

    def next_attempt_at(self, attempt: int, now: datetime) -> datetime | None:
        """Return the time of the next attempt after `attempt` (1, 2, ...) attempts; None to give up."""
        if attempt >= self.maximum_attempts:
            return None
        return now + self.delay(attempt)

    def delay(self, attempt: int) -> timedelta:
        """Return the delay after `attempt` (1, 2, ...) attempts, even beyond the maximum number of attempts."""
        exponent = min(attempt - 1, 64)
        return timedelta(seconds=min(self.initial_delay_s * self.multiplier**exponent, self.maximum_delay_s))
