//! Delays for those who guess passwords: per name and address, and per address.
//!
//! In memory, so each replica counts for itself; a shared counter takes this type's place.

use crate::config::SignInLimits;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use vereda_domain::Millis;

/// The most counters kept; beyond it those that ended longest ago go first.
const MAX_ENTRIES: usize = 100_000;
/// A counter without wrong passwords for so long starts over.
const FORGET_MS: Millis = 60 * 60 * 1000;

/// Counts wrong passwords.
#[derive(Debug)]
pub struct Throttle {
    limits: SignInLimits,
    counters: Mutex<HashMap<Subject, Counter>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    /// A name as it is compared, from one address. Without a name: the address itself.
    From(IpAddr, Option<String>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    wrong: u32,
    last: Millis,
    blocked_until: Millis,
}

impl Throttle {
    /// Nothing counted yet.
    pub fn new(limits: SignInLimits) -> Throttle {
        Throttle { limits, counters: Mutex::new(HashMap::new()) }
    }

    /// How many seconds somebody must wait, if they must.
    pub fn wait_s(&self, name: &str, address: IpAddr, now: Millis) -> Option<u64> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        subjects(name, address)
            .iter()
            .filter_map(|subject| counters.get(subject))
            .map(|counter| counter.blocked_until - now)
            .filter(|ms| *ms > 0)
            .max()
            .map(|ms| u64::try_from(ms).unwrap_or(0).div_ceil(1000))
    }

    /// Takes note of a wrong password.
    pub fn wrong(&self, name: &str, address: IpAddr, now: Millis) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= MAX_ENTRIES {
            make_room(&mut counters, now);
        }
        let free = [self.limits.free_attempts, self.limits.free_attempts_per_address];
        for (subject, free) in subjects(name, address).into_iter().zip(free) {
            let counter = counters.entry(subject).or_default();
            if now - counter.last > FORGET_MS {
                *counter = Counter::default();
            }
            counter.wrong = counter.wrong.saturating_add(1);
            counter.last = now;
            if counter.wrong > free {
                let doublings = (counter.wrong - free - 1).min(20);
                let delay_s =
                    self.limits.first_delay_s.saturating_mul(1 << doublings).min(self.limits.max_delay_s);
                counter.blocked_until = now + Millis::try_from(delay_s).unwrap_or(0) * 1000;
            }
        }
    }

    /// Takes note of a right password: that name starts over from that address.
    pub fn right(&self, name: &str, address: IpAddr) {
        let [named, _] = subjects(name, address);
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).remove(&named);
    }
}

fn subjects(name: &str, address: IpAddr) -> [Subject; 2] {
    // Names nobody has are counted too; a long one is cut so that they cost no memory.
    let name: String = crate::store::user_key(name).chars().take(64).collect();
    let address = whose(address);
    [Subject::From(address, Some(name)), Subject::From(address, None)]
}

/// The address that stands for whoever has it. A line with IPv6 has a whole /64 to itself, so trying
/// another address of it is trying again.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes()),
        v4 => v4,
    }
}

fn make_room(counters: &mut HashMap<Subject, Counter>, now: Millis) {
    counters.retain(|_, c| now - c.last <= FORGET_MS || c.blocked_until > now);
    if counters.len() >= MAX_ENTRIES {
        let mut ages: Vec<Millis> = counters.values().map(|c| c.last).collect();
        let middle = ages.len() / 2;
        let (_, median, _) = ages.select_nth_unstable(middle);
        let median = *median;
        counters.retain(|_, c| c.last > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> SignInLimits {
        SignInLimits { free_attempts: 2, free_attempts_per_address: 5, first_delay_s: 2, max_delay_s: 10 }
    }

    fn here() -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    #[test]
    fn delays_grow_and_end_and_are_capped() {
        let throttle = Throttle::new(limits());
        let mut now = 1_000_000;
        let mut waits = Vec::new();
        for _ in 0..6 {
            throttle.wrong("Ana ", here(), now);
            let wait = throttle.wait_s("ana", here(), now).unwrap_or(0);
            waits.push(wait);
            now += Millis::try_from(wait).unwrap() * 1000;
            assert_eq!(throttle.wait_s("ana", here(), now), None);
        }
        assert_eq!(waits, [0, 0, 2, 4, 8, 10]);
        assert_eq!(throttle.wait_s("ana", IpAddr::from([10, 0, 0, 1]), now), None);
    }

    #[test]
    fn one_address_cannot_try_many_names() {
        let throttle = Throttle::new(limits());
        for n in 0..6 {
            assert_eq!(throttle.wait_s("someone", here(), 0), None);
            throttle.wrong(&format!("user{n}"), here(), 0);
        }
        assert_eq!(throttle.wait_s("someone", here(), 0), Some(2));
    }

    #[test]
    fn a_right_password_clears_the_name_but_not_the_address() {
        let throttle = Throttle::new(limits());
        for _ in 0..3 {
            throttle.wrong("ana", here(), 0);
        }
        throttle.right("ana", here());
        assert_eq!(throttle.wait_s("ana", here(), 0), None);
        for _ in 0..3 {
            throttle.wrong("eva", here(), 0);
        }
        assert_eq!(throttle.wait_s("ana", here(), 0), Some(2), "six wrong ones from this address");
    }

    #[test]
    fn a_network_of_ipv6_addresses_counts_as_one() {
        let throttle = Throttle::new(limits());
        for host in 1..=3u16 {
            throttle.wrong("ana", IpAddr::from([0x2001, 0xdb8, 0, 7, host, 0, 0, host]), 0);
        }
        assert_eq!(throttle.wait_s("ana", IpAddr::from([0x2001, 0xdb8, 0, 7, 9, 9, 9, 9]), 0), Some(2));
        assert_eq!(throttle.wait_s("ana", IpAddr::from([0x2001, 0xdb8, 0, 8, 1, 0, 0, 1]), 0), None);
        for _ in 0..3 {
            throttle.wrong("eva", here(), 0);
        }
        // The same IPv4 address as a dual-stack listener shows it.
        assert_eq!(throttle.wait_s("eva", "::ffff:127.0.0.1".parse().unwrap(), 0), Some(2));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new(limits());
        for n in 0..(MAX_ENTRIES + 10) {
            let n = u32::try_from(n).unwrap();
            throttle.wrong("x", IpAddr::from(n.to_be_bytes()), Millis::from(n));
        }
        assert!(throttle.counters.lock().unwrap().len() <= MAX_ENTRIES + 2);
    }
}
