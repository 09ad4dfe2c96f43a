//! Delays for those who guess passwords: per name and address, and per address.
//!
//! Counted in what replicas have in common, so that nobody gets more tries by asking several.

use crate::commons::Commons;
use crate::config::SignInLimits;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use vereda_domain::Millis;

/// The most counters that one server keeps.
pub const MAX_ENTRIES: u64 = 200_000;
/// A counter without wrong passwords for so long starts over.
const FORGET: Duration = Duration::from_secs(60 * 60);

/// Counts wrong passwords.
pub struct Throttle {
    limits: SignInLimits,
    counters: Arc<dyn Commons>,
}

impl Throttle {
    /// With these counters.
    pub fn new(limits: SignInLimits, counters: Arc<dyn Commons>) -> Throttle {
        Throttle { limits, counters }
    }

    /// How many seconds somebody must wait, if they must.
    pub async fn wait_s(&self, name: &str, address: IpAddr, now: Millis) -> Option<u64> {
        let mut longest = None;
        for subject in subjects(name, address) {
            let until = self.counters.get(&blocked(&subject)).await;
            longest = longest.max(until.and_then(|ms| ms.try_into().ok()).map(Millis::from_be_bytes));
        }
        let ms = longest?.saturating_sub(now);
        (ms > 0).then(|| u64::try_from(ms).unwrap_or(0).div_ceil(1000))
    }

    /// Takes note of a wrong password.
    pub async fn wrong(&self, name: &str, address: IpAddr, now: Millis) {
        let free = [self.limits.free_attempts, self.limits.free_attempts_per_address];
        for (subject, free) in subjects(name, address).into_iter().zip(free) {
            let wrong = self.counters.raise(&counted(&subject), FORGET).await;
            if wrong > free {
                let doublings = (wrong - free - 1).min(20);
                let delay_s =
                    self.limits.first_delay_s.saturating_mul(1 << doublings).min(self.limits.max_delay_s);
                let until = now + Millis::try_from(delay_s).unwrap_or(0) * 1000;
                let life = Duration::from_secs(delay_s);
                self.counters.put(&blocked(&subject), until.to_be_bytes().to_vec(), life).await;
            }
        }
    }

    /// Takes note of a right password: that name starts over from that address.
    pub async fn right(&self, name: &str, address: IpAddr) {
        let [named, _] = subjects(name, address);
        self.counters.remove(&counted(&named)).await;
        self.counters.remove(&blocked(&named)).await;
    }
}

fn counted(subject: &str) -> String {
    format!("wrong:{subject}")
}

fn blocked(subject: &str) -> String {
    format!("blocked:{subject}")
}

/// A name as it is compared, from one address; and the address itself. Names nobody has are counted
/// too, and none can be read from a key.
fn subjects(name: &str, address: IpAddr) -> [String; 2] {
    let address = whose(address);
    let name = Sha256::digest(crate::store::user_key(name));
    [format!("{address}:{}", hex::encode(name)), address.to_string()]
}

/// The address that stands for whoever has it. A line with IPv6 has a whole /64 to itself, so trying
/// another address of it is trying again.
pub fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> SignInLimits {
        SignInLimits { free_attempts: 2, free_attempts_per_address: 5, first_delay_s: 2, max_delay_s: 10 }
    }

    fn throttle() -> Throttle {
        Throttle::new(limits(), Arc::new(crate::commons::Memory::new(MAX_ENTRIES)))
    }

    fn here() -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    #[tokio::test]
    async fn delays_grow_and_end_and_are_capped() {
        let throttle = throttle();
        let mut now = 1_000_000;
        let mut waits = Vec::new();
        for _ in 0..6 {
            throttle.wrong("Ana ", here(), now).await;
            let wait = throttle.wait_s("ana", here(), now).await.unwrap_or(0);
            waits.push(wait);
            now += Millis::try_from(wait).unwrap() * 1000;
            assert_eq!(throttle.wait_s("ana", here(), now).await, None);
        }
        assert_eq!(waits, [0, 0, 2, 4, 8, 10]);
        assert_eq!(throttle.wait_s("ana", IpAddr::from([10, 0, 0, 1]), now).await, None);
    }

    #[tokio::test]
    async fn one_address_cannot_try_many_names() {
        let throttle = throttle();
        for n in 0..6 {
            assert_eq!(throttle.wait_s("someone", here(), 0).await, None);
            throttle.wrong(&format!("user{n}"), here(), 0).await;
        }
        assert_eq!(throttle.wait_s("someone", here(), 0).await, Some(2));
    }

    #[tokio::test]
    async fn a_right_password_clears_the_name_but_not_the_address() {
        let throttle = throttle();
        for _ in 0..3 {
            throttle.wrong("ana", here(), 0).await;
        }
        throttle.right("ana", here()).await;
        assert_eq!(throttle.wait_s("ana", here(), 0).await, None);
        for _ in 0..3 {
            throttle.wrong("eva", here(), 0).await;
        }
        assert_eq!(throttle.wait_s("ana", here(), 0).await, Some(2), "six wrong ones from this address");
    }

    #[tokio::test]
    async fn a_network_of_ipv6_addresses_counts_as_one() {
        let throttle = throttle();
        for host in 1..=3u16 {
            throttle.wrong("ana", IpAddr::from([0x2001, 0xdb8, 0, 7, host, 0, 0, host]), 0).await;
        }
        assert_eq!(throttle.wait_s("ana", IpAddr::from([0x2001, 0xdb8, 0, 7, 9, 9, 9, 9]), 0).await, Some(2));
        assert_eq!(throttle.wait_s("ana", IpAddr::from([0x2001, 0xdb8, 0, 8, 1, 0, 0, 1]), 0).await, None);
        for _ in 0..3 {
            throttle.wrong("eva", here(), 0).await;
        }
        // The same IPv4 address as a dual-stack listener shows it.
        assert_eq!(throttle.wait_s("eva", "::ffff:127.0.0.1".parse().unwrap(), 0).await, Some(2));
    }
}
