//! Passive health: an endpoint whose answers fail in a row is taken out for a while.
//!
//! As measured with Envoy: ejection is immediate on the nth consecutive error, a success resets the counts, and it is
//! allowed only while (ejected + 1) / endpoints stays within the percentage. Unlike Envoy, which looks for ended
//! ejections every `interval`, an ejection here ends exactly when its time is over.

use std::time::Duration;

use tokio::time::Instant;
use wattle_contract::route::Outlier;

/// The longest ejection, where the base is not longer (Envoy's `max_ejection_time`).
const LONGEST: Duration = Duration::from_secs(300);

/// How one try on an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The upstream answered with this status.
    Status(u16),
    /// No connection, a connection lost, or no answer in time.
    Local,
}

/// What is remembered of one endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    errors: u32,
    gateway_errors: u32,
    local_failures: u32,
    /// Ejections so far, forgiven one for each quiet interval.
    ejections: u32,
    until: Option<Instant>,
}

impl State {
    pub(crate) fn is_ejected(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Takes an outcome into account. `others_ejected` of `endpoints` are out already. Says whether this ejects.
    pub(crate) fn observe(
        &mut self,
        rule: &Outlier,
        outcome: Outcome,
        now: Instant,
        others_ejected: usize,
        endpoints: usize,
    ) -> bool {
        if self.is_ejected(now) {
            return false;
        }
        self.count(rule, outcome);
        let over = |count: u32, bound: Option<u32>| bound.is_some_and(|bound| bound > 0 && count >= bound);
        let failing = over(self.errors, rule.consecutive_5xx)
            || over(self.gateway_errors, rule.consecutive_gateway_errors)
            || over(self.local_failures, rule.consecutive_local_failures);
        let allowed = (others_ejected + 1) * 100 <= endpoints * rule.max_ejection_percent as usize;
        if !failing || !allowed {
            return false;
        }
        self.eject(rule, now);
        true
    }

    fn count(&mut self, rule: &Outlier, outcome: Outcome) {
        match outcome {
            Outcome::Local if rule.consecutive_local_failures.is_some() => self.local_failures += 1,
            Outcome::Local => {
                // Without a count of their own they are what the client would see: 503 or 504.
                self.errors += 1;
                self.gateway_errors += 1;
            }
            Outcome::Status(status) => {
                self.local_failures = 0;
                let plain = rule.error_statuses.is_empty();
                let error = if plain { (500..600).contains(&status) } else { rule.error_statuses.contains(&status) };
                self.errors = if error { self.errors + 1 } else { 0 };
                self.gateway_errors = if (502..=504).contains(&status) { self.gateway_errors + 1 } else { 0 };
            }
        }
    }

    fn eject(&mut self, rule: &Outlier, now: Instant) {
        if let (Some(until), false) = (self.until, rule.interval.is_zero()) {
            let quiet = now.saturating_duration_since(until).as_nanos() / rule.interval.as_nanos();
            self.ejections = self.ejections.saturating_sub(u32::try_from(quiet).unwrap_or(u32::MAX));
        }
        self.ejections = self.ejections.saturating_add(1);
        let longest = rule.base_ejection_time.max(LONGEST);
        self.until = Some(now + rule.base_ejection_time.saturating_mul(self.ejections).min(longest));
        (self.errors, self.gateway_errors, self.local_failures) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Outlier {
        Outlier {
            consecutive_5xx: Some(3),
            consecutive_gateway_errors: None,
            consecutive_local_failures: None,
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_percent: 50,
            min_health_percent: 0,
            error_statuses: [].into(),
        }
    }

    fn fail(state: &mut State, rule: &Outlier, now: Instant, times: u32, ejected: usize, endpoints: usize) -> bool {
        (0..times).any(|_| state.observe(rule, Outcome::Status(500), now, ejected, endpoints))
    }

    #[test]
    fn the_third_error_in_a_row_ejects_and_a_success_between_them_does_not() {
        let (rule, now, mut state) = (rule(), Instant::now(), State::default());

        assert!(!fail(&mut state, &rule, now, 2, 0, 2));
        state.observe(&rule, Outcome::Status(200), now, 0, 2);
        assert!(!fail(&mut state, &rule, now, 2, 0, 2));
        assert!(fail(&mut state, &rule, now, 1, 0, 2));

        assert!(state.is_ejected(now + Duration::from_secs(29)));
        assert!(!state.is_ejected(now + Duration::from_secs(30)));
    }

    #[test]
    fn one_of_two_at_ten_percent_is_never_ejected_and_the_second_at_fifty_stays_in() {
        let (mut rule, now) = (rule(), Instant::now());

        assert!(!fail(&mut State::default(), &rule, now, 100, 1, 2));
        rule.max_ejection_percent = 10;
        assert!(!fail(&mut State::default(), &rule, now, 100, 0, 2));
        rule.max_ejection_percent = 100;
        assert!(fail(&mut State::default(), &rule, now, 3, 1, 2));
    }

    #[test]
    fn each_ejection_is_longer_until_five_minutes_and_quiet_time_forgives() {
        let (rule, mut now, mut state) = (rule(), Instant::now(), State::default());

        for expected in [30, 60, 90] {
            assert!(fail(&mut state, &rule, now, 3, 0, 2));
            now = state.until.expect("just ejected");
            assert!(!state.is_ejected(now) && state.is_ejected(now - Duration::from_millis(1)));
            assert_eq!(state.ejections * 30, expected);
        }
        now += Duration::from_secs(20);
        assert!(fail(&mut state, &rule, now, 3, 0, 2));
        assert_eq!(state.ejections, 2);
        state.ejections = 50;
        now = state.until.expect("just ejected");
        assert!(fail(&mut state, &rule, now, 3, 0, 2));
        assert_eq!(state.until, Some(now + LONGEST));
    }
}
