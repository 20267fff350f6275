//! The token bucket behind every rate limit. It has no clock and no lock of its own: the caller passes the time.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use hebra::rate::Rate;
//!
//! let (rate, now) = (Rate::new(10, Duration::from_secs(1)), Instant::now());
//! let mut bucket = rate.full_bucket(now);
//! assert_eq!((0..100).filter(|_| rate.try_take(&mut bucket, 1, now)).count(), 10);
//! assert!(rate.try_take(&mut bucket, 1, now + Duration::from_millis(100)));
//! ```

use std::time::{Duration, Instant};

/// How fast tokens are earned, and how many may be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    per_second: u64,
    burst: Duration,
}

/// The tokens of one party at one [`Rate`].
///
/// It is the time at which it will be full, so a bucket whose time has passed is the same as one that was never
/// used, and a table of buckets may forget it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    full_at: Instant,
}

impl Rate {
    /// `per_second` tokens a second (at least 1); a full bucket holds those of `burst`.
    #[must_use]
    pub fn new(per_second: u64, burst: Duration) -> Self {
        Self { per_second: per_second.max(1), burst }
    }

    /// A bucket that is full at `now`.
    #[must_use]
    pub fn full_bucket(&self, now: Instant) -> Bucket {
        Bucket { full_at: now }
    }

    /// Takes `tokens` from the bucket if it holds so many. Returns whether it did.
    pub fn try_take(&self, bucket: &mut Bucket, tokens: u64, now: Instant) -> bool {
        let full_at = bucket.full_at.max(now) + self.earning(tokens);
        let fits = full_at <= now + self.burst;
        if fits {
            bucket.full_at = full_at;
        }
        fits
    }

    /// Takes `tokens` from the bucket even if it does not hold so many. Returns how long to wait until they are
    /// earned.
    #[must_use]
    pub fn take(&self, bucket: &mut Bucket, tokens: u64, now: Instant) -> Duration {
        bucket.full_at = bucket.full_at.max(now) + self.earning(tokens);
        bucket.full_at.saturating_duration_since(now + self.burst)
    }

    /// Returns how long it takes to earn `tokens`, rounded down, so that a second is enough for the tokens of a second.
    fn earning(&self, tokens: u64) -> Duration {
        let nanos = u128::from(tokens) * 1_000_000_000 / u128::from(self.per_second);
        Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX))
    }
}

impl Bucket {
    /// Returns whether the bucket is full at `now`.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_what_goes_on_is_not() {
        const MIB: u64 = 1024 * 1024;
        let rate = Rate::new(MIB, Duration::from_millis(64));
        let now = Instant::now();
        let mut bucket = rate.full_bucket(now);
        assert_eq!(rate.take(&mut bucket, 64 * 1024, now), Duration::ZERO);
        let wait = rate.take(&mut bucket, MIB, now);
        assert!((0.9..1.1).contains(&wait.as_secs_f64()), "{wait:?}");
        assert!(!bucket.is_full(now) && !bucket.is_full(now + wait));
        // After a while everything is earned back, and no more than that.
        let later = now + Duration::from_secs(3600);
        assert!(bucket.is_full(later));
        assert_eq!(rate.take(&mut bucket, 64 * 1024, later), Duration::ZERO);
        assert!(rate.take(&mut bucket, 64 * 1024, later) > Duration::ZERO);
    }

    #[test]
    fn all_tokens_of_a_second_fit_it_even_if_it_cannot_be_divided_by_them() {
        let now = Instant::now();
        for per_second in [1, 7, 1000] {
            let rate = Rate::new(per_second, Duration::from_secs(1));
            let mut bucket = rate.full_bucket(now);
            assert!((0..per_second).all(|_| rate.try_take(&mut bucket, 1, now)));
            assert!(!rate.try_take(&mut bucket, 1, now));
        }
    }
}
