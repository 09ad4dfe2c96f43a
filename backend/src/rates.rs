//! How many requests are answered: of one account, and from one address, by class of route.
//!
//! Counted in what replicas have in common. The account comes first, and what it has used up costs its
//! address nothing: one device that runs wild does not silence the branch behind the same address.

use crate::commons::{Bucket, Commons, Spent};
use crate::config;
use crate::identity::throttle::whose;
use serde::Serialize;
use std::fmt::{Display, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use vereda_domain::UserId;

/// The most allowances that one server keeps in its memory.
pub const MAX_ENTRIES: u64 = 100_000;

/// What kind of work a route is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteClass {
    /// Anybody may read it.
    Public,
    /// A name and a password.
    SignIn,
    /// A session goes on or ends.
    Session,
    /// It reads.
    Read,
    /// It changes something.
    Write,
    /// It asks for scores.
    Score,
    /// A device does it.
    Sync,
}

impl RouteClass {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            RouteClass::Public => "public",
            RouteClass::SignIn => "sign_in",
            RouteClass::Session => "session",
            RouteClass::Read => "read",
            RouteClass::Write => "write",
            RouteClass::Score => "score",
            RouteClass::Sync => "sync",
        }
    }
}

/// Whose allowance it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Account,
    Address,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            By::Account => "account",
            By::Address => "address",
        }
    }
}

/// Counts requests.
pub struct Rates {
    limits: config::Rates,
    counters: Arc<dyn Commons>,
}

impl Rates {
    /// With these counters.
    pub fn new(limits: config::Rates, counters: Arc<dyn Commons>) -> Rates {
        Rates { limits, counters }
    }

    fn of_account(&self, class: RouteClass) -> u32 {
        let rates = &self.limits.account;
        match class {
            // Nobody is known there yet.
            RouteClass::Public | RouteClass::SignIn | RouteClass::Session => 0,
            RouteClass::Read => rates.read,
            RouteClass::Write => rates.write,
            RouteClass::Score => rates.score,
            RouteClass::Sync => rates.sync,
        }
    }

    fn of_address(&self, class: RouteClass) -> u32 {
        let rates = &self.limits.address;
        match class {
            RouteClass::Public => rates.public,
            RouteClass::SignIn => rates.sign_in,
            RouteClass::Session => rates.session,
            RouteClass::Read => rates.read,
            RouteClass::Write => rates.write,
            RouteClass::Score => rates.score,
            RouteClass::Sync => rates.sync,
        }
    }

    /// Takes note of a request; how its caller stands.
    pub async fn charge(&self, class: RouteClass, account: Option<UserId>, address: IpAddr) -> Standing {
        let window = Duration::from_secs(self.limits.window_s);
        let mut allowances = Vec::with_capacity(2);
        let mut add = |by: By, quota: u32, subject: &dyn Display| {
            if quota > 0 {
                let key = format!("rate:{}:{}:{subject}", class.as_str(), by.as_str());
                allowances.push((by, Bucket { key, quota, window }));
            }
        };
        if let Some(account) = account {
            add(By::Account, self.of_account(class), &account);
        }
        add(By::Address, self.of_address(class), &whose(address));
        if allowances.is_empty() {
            return Standing { class, allowances: Vec::new() };
        }
        let buckets: Vec<Bucket> = allowances.iter().map(|(_, bucket)| bucket.clone()).collect();
        let spent = self.counters.spend(&buckets).await;
        let allowances = allowances.into_iter().zip(spent).map(|((by, bucket), spent)| (by, bucket, spent));
        Standing { class, allowances: allowances.collect() }
    }
}

/// How much somebody has left, after a request.
#[derive(Debug, Clone)]
pub struct Standing {
    class: RouteClass,
    allowances: Vec<(By, Bucket, Spent)>,
}

/// A request too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// In what.
    pub class: RouteClass,
    /// `account` or `address`.
    pub by: &'static str,
    /// How many seconds to wait.
    pub wait_s: u64,
}

impl Standing {
    /// Whether it was one too many.
    pub fn exceeded(&self) -> Option<Exceeded> {
        let (by, bucket, spent) = self.allowances.iter().find(|(_, _, spent)| !spent.taken)?;
        Some(Exceeded { class: self.class, by: by.as_str(), wait_s: seconds(bucket.wait(*spent)).max(1) })
    }

    /// `RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers-10 has them: quota and
    /// window, what is left, and the seconds until all of it is there again. None where nothing is limited.
    pub fn headers(&self) -> Option<(String, String)> {
        let (mut policy, mut standing) = (String::new(), String::new());
        for (by, bucket, spent) in &self.allowances {
            let comma = if policy.is_empty() { "" } else { ", " };
            let name = format!("{comma}\"{}.{}\"", by.as_str(), self.class.as_str());
            let _ = write!(policy, "{name};q={};w={}", bucket.quota, bucket.window.as_secs());
            let whole = seconds(Duration::from_micros(spent.owed_us));
            let _ = write!(standing, "{name};r={};t={whole}", bucket.left(*spent));
        }
        (!policy.is_empty()).then_some((policy, standing))
    }
}

/// Whole seconds, never too few.
fn seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commons::Memory;
    use uuid::Uuid;

    fn rates(change: impl FnOnce(&mut config::Rates)) -> Rates {
        let mut limits = config::Rates { window_s: 3600, ..config::Rates::default() };
        change(&mut limits);
        Rates::new(limits, Arc::new(Memory::new(MAX_ENTRIES)))
    }

    fn here() -> IpAddr {
        IpAddr::from([192, 0, 2, 1])
    }

    #[tokio::test]
    async fn an_account_that_runs_wild_costs_its_address_nothing() {
        let rates = rates(|limits| {
            limits.account.sync = 3;
            limits.address.sync = 5;
        });
        let [wild, calm] = [Uuid::now_v7(), Uuid::now_v7()].map(UserId);
        let charge = async |account| rates.charge(RouteClass::Sync, Some(account), here()).await;
        for _ in 0..3 {
            assert_eq!(charge(wild).await.exceeded(), None);
        }
        for _ in 0..20 {
            let exceeded = charge(wild).await.exceeded().unwrap();
            assert_eq!((exceeded.by, exceeded.wait_s), ("account", 1200));
        }
        for _ in 0..2 {
            assert_eq!(charge(calm).await.exceeded(), None);
        }
        assert_eq!(charge(calm).await.exceeded().unwrap().by, "address");
        // Another class, and another address, have allowances of their own.
        assert_eq!(rates.charge(RouteClass::Read, Some(wild), here()).await.exceeded(), None);
        let elsewhere = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(
            rates.charge(RouteClass::Sync, Some(UserId(Uuid::now_v7())), elsewhere).await.exceeded(),
            None
        );
    }

    #[tokio::test]
    async fn a_network_of_ipv6_addresses_has_one_allowance_and_0_is_no_limit() {
        let rates = rates(|limits| {
            limits.address.public = 2;
            limits.address.session = 0;
        });
        let from = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, last]);
        for last in 0..2 {
            assert_eq!(rates.charge(RouteClass::Public, None, from(last)).await.exceeded(), None);
        }
        assert!(rates.charge(RouteClass::Public, None, from(9)).await.exceeded().is_some());
        for _ in 0..100 {
            let standing = rates.charge(RouteClass::Session, None, from(1)).await;
            assert!(standing.exceeded().is_none() && standing.headers().is_none());
        }
    }

    #[tokio::test]
    async fn headers_say_what_is_left() {
        let rates = rates(|limits| limits.account.write = 4);
        let standing = rates.charge(RouteClass::Write, Some(UserId(Uuid::now_v7())), here()).await;
        let (policy, standing) = standing.headers().unwrap();
        assert_eq!(policy, r#""account.write";q=4;w=3600, "address.write";q=30000;w=3600"#);
        assert_eq!(standing, r#""account.write";r=3;t=900, "address.write";r=29999;t=1"#);
    }
}
