//! Numbers, money, dates and shares as a language writes them. Pure: the time zone comes in.

use crate::i18n::{Lang, text};
use vereda_domain::Millis;

/// A space at which a line does not break.
const NBSP: char = '\u{a0}';
/// A minus that is as wide as a plus.
const MINUS: char = '\u{2212}';

/// What stands between thousands.
pub fn group_separator(lang: Lang) -> char {
    match lang {
        Lang::Es => '.',
        Lang::En => ',',
    }
}

/// What stands before the fraction.
pub fn decimal_separator(lang: Lang) -> char {
    match lang {
        Lang::Es => ',',
        Lang::En => '.',
    }
}

/// A number with so many decimals: `1.234,5` or `1,234.5`.
pub fn number(lang: Lang, value: f64, decimals: usize) -> String {
    let plain = format!("{:.*}", decimals, value.abs());
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut out = String::new();
    if value < 0.0 && plain.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push(MINUS);
    }
    out.push_str(&grouped(lang, whole));
    if !fraction.is_empty() {
        out.push(decimal_separator(lang));
        out.push_str(fraction);
    }
    out
}

/// A number with as many decimals as it has, up to six.
pub fn number_short(lang: Lang, value: f64) -> String {
    let decimals = (0..6).find(|d| {
        let scaled = value * 10f64.powi(*d);
        (scaled - scaled.round()).abs() < 1e-6
    });
    number(lang, value, decimals.unwrap_or(6) as usize)
}

/// Digits with separators between thousands.
fn grouped(lang: Lang, digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(group_separator(lang));
        }
        out.push(digit);
    }
    out
}

/// An amount in whole units of an ISO 4217 currency; `XXX` has no name.
pub fn money(lang: Lang, units: f64, currency: &str) -> String {
    let amount = number(lang, units, if units.fract() == 0.0 { 0 } else { 2 });
    if currency == "XXX" { amount } else { format!("{amount}{NBSP}{currency}") }
}

/// A share as per cent: `12,3 %` or `12.3%`.
pub fn percent(lang: Lang, share: f64, decimals: usize) -> String {
    let value = number(lang, share * 100.0, decimals);
    match lang {
        Lang::Es => format!("{value}{NBSP}%"),
        Lang::En => format!("{value}%"),
    }
}

/// A probability in words of one hundred people: "12 de cada 100".
pub fn in_hundred(lang: Lang, probability: f64) -> String {
    let of_hundred = (probability * 100.0).round();
    if of_hundred < 1.0 {
        text(lang, "pd-below-one", &[])
    } else if of_hundred > 99.0 {
        text(lang, "pd-above-99", &[])
    } else {
        text(lang, "pd-in-100", &[("n", of_hundred.into())])
    }
}

/// A number with a sign, for contributions.
pub fn signed(lang: Lang, value: f64, decimals: usize) -> String {
    let out = number(lang, value, decimals);
    if value > 0.0 { format!("+{out}") } else { out }
}

/// Year, month (1..12), day (1..31), hour, minute, second of a time in a zone so many minutes east
/// of UTC. Days to civil: Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*.
fn civil(at: Millis, east_minutes: i32) -> (i64, u32, u32, u32, u32, u32) {
    let seconds = at.div_euclid(1000) + i64::from(east_minutes) * 60;
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u32);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = (if mp < 10 { mp + 3 } else { mp - 9 }) as u32;
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// `23 nov 2026`.
pub fn date_in(lang: Lang, at: Millis, east_minutes: i32) -> String {
    let (year, month, day, ..) = civil(at, east_minutes);
    let month = text(lang, &format!("month-{month}"), &[]);
    format!("{day}{NBSP}{month}{NBSP}{year}")
}

/// `14:02`, or `14:02:31` with seconds.
pub fn time_in(at: Millis, east_minutes: i32, seconds: bool) -> String {
    let (.., hour, minute, second) = civil(at, east_minutes);
    if seconds { format!("{hour:02}:{minute:02}:{second:02}") } else { format!("{hour:02}:{minute:02}") }
}

/// Whether two times fall on one day.
pub fn same_day_in(a: Millis, b: Millis, east_minutes: i32) -> bool {
    let day = |at: Millis| (at.div_euclid(1000) + i64::from(east_minutes) * 60).div_euclid(86_400);
    day(a) == day(b)
}

/// `23 nov 2026`, here.
pub fn date(lang: Lang, at: Millis) -> String {
    date_in(lang, at, crate::browser::east_minutes(at))
}

/// `14:02`, here.
pub fn time(at: Millis) -> String {
    time_in(at, crate::browser::east_minutes(at), false)
}

/// `14:02:31`, here.
pub fn time_with_seconds(at: Millis) -> String {
    time_in(at, crate::browser::east_minutes(at), true)
}

/// `14:02` today, `23 nov 2026, 14:02` on another day.
pub fn moment(lang: Lang, at: Millis, now: Millis) -> String {
    let east = crate::browser::east_minutes(at);
    let clock = time_in(at, east, false);
    if same_day_in(at, now, east) { clock } else { format!("{}, {clock}", date_in(lang, at, east)) }
}

/// "hace 3 min", "hace 2 h", "hace 4 días"; a date beyond a month.
pub fn ago(lang: Lang, at: Millis, now: Millis) -> String {
    let minutes = now.saturating_sub(at) / 60_000;
    let (key, n) = match minutes {
        ..1 => return text(lang, "ago-now", &[]),
        1..60 => ("ago-minutes", minutes),
        60..1440 => ("ago-hours", minutes / 60),
        1440..43_200 => ("ago-days", minutes / 1440),
        _ => return date(lang, at),
    };
    text(lang, key, &[("n", n.into())])
}

/// A date as a card writes it (RFC 3339), in words; as it stands when it is none.
pub fn iso_date(lang: Lang, iso: &str) -> String {
    match iso_millis(iso) {
        Some(at) => date_in(lang, at, 0),
        None => iso.to_owned(),
    }
}

/// The first instant of the day of an RFC 3339 date, UTC.
pub fn iso_millis(iso: &str) -> Option<Millis> {
    let mut parts = iso.get(..10)?.splitn(3, '-');
    let year: i64 = parts.next()?.parse().ok()?;
    let month: i64 = parts.next()?.parse().ok().filter(|m| (1..=12).contains(m))?;
    let day: i64 = parts.next()?.parse().ok().filter(|d| (1..=31).contains(d))?;
    let y = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (y.div_euclid(400), y.rem_euclid(400));
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    Some((era * 146_097 + doe - 719_468) * 86_400_000)
}

/// What a person typed as a number, or nothing when it is none.
pub fn parse_number(lang: Lang, typed: &str) -> Option<f64> {
    let plain: String = typed
        .trim()
        .chars()
        .filter(|c| *c != group_separator(lang) && !c.is_whitespace())
        .map(|c| match c {
            c if c == decimal_separator(lang) => '.',
            MINUS => '-',
            c => c,
        })
        .collect();
    let looks = plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
    if looks && plain.chars().any(|c| c.is_ascii_digit()) { plain.parse().ok() } else { None }
}

/// Puts separators between the thousands of what is being typed. A text that is no number stays
/// as it is, so that nothing typed is lost; a trailing `.` or `,` that was just typed begins the
/// fraction, whichever of the two the keypad has.
pub fn regroup(lang: Lang, before: &str, typed: &str, decimals: bool) -> String {
    let (group, decimal) = (group_separator(lang), decimal_separator(lang));
    let typed = match typed.strip_prefix(before) {
        Some("." | ",") if decimals && !before.contains(decimal) => format!("{before}{decimal}"),
        Some("." | ",") => before.to_owned(),
        _ => typed.to_owned(),
    };
    let (sign, rest) = match typed.strip_prefix(['-', MINUS]) {
        Some(rest) => ("-", rest.to_owned()),
        None => ("", typed.clone()),
    };
    let (whole, fraction) = match rest.split_once(decimal) {
        Some((whole, fraction)) => (whole.to_owned(), Some(fraction.to_owned())),
        None => (rest, None),
    };
    let digits: String = whole.chars().filter(|c| *c != group && !c.is_whitespace()).collect();
    let only_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if !only_digits(&digits) || fraction.as_deref().is_some_and(|f| !only_digits(f)) {
        return typed;
    }
    let trimmed = digits.trim_start_matches('0');
    let digits = if trimmed.is_empty() && !digits.is_empty() { "0" } else { trimmed };
    let mut out = format!("{sign}{}", grouped(lang, digits));
    if let Some(fraction) = fraction.filter(|_| decimals) {
        out.push(decimal);
        out.push_str(&fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_money_and_shares_by_locale() {
        assert_eq!(number(Lang::Es, 1234.5, 1), "1.234,5");
        assert_eq!(number(Lang::En, 1234.5, 1), "1,234.5");
        assert_eq!(number(Lang::Es, -1_234_567.0, 0), "\u{2212}1.234.567");
        assert_eq!(number(Lang::En, -0.001, 1), "0.0");
        assert_eq!(number_short(Lang::Es, 0.25), "0,25");
        assert_eq!(number_short(Lang::En, 12_000.0), "12,000");
        assert_eq!(money(Lang::Es, 2_500_000.0, "COP"), "2.500.000\u{a0}COP");
        assert_eq!(money(Lang::En, 1234.0, "XXX"), "1,234");
        assert_eq!(percent(Lang::Es, 0.1234, 1), "12,3\u{a0}%");
        assert_eq!(percent(Lang::En, 0.1234, 1), "12.3%");
        assert_eq!(signed(Lang::Es, 0.25, 2), "+0,25");
    }

    #[test]
    fn a_probability_in_words_never_says_none_or_all() {
        assert_eq!(in_hundred(Lang::En, 0.123), "12 in 100");
        assert_eq!(in_hundred(Lang::Es, 0.01), "1 de cada 100");
        assert_eq!(in_hundred(Lang::Es, 0.002), "menos de 1 de cada 100");
        assert_eq!(in_hundred(Lang::En, 0.999), "more than 99 in 100");
    }

    #[test]
    fn dates_and_times_in_a_zone() {
        let at = 1_795_441_323_000; // 2026-11-23T13:42:03Z
        assert_eq!(date_in(Lang::Es, at, -300), "23\u{a0}nov\u{a0}2026");
        assert_eq!(time_in(at, -300, true), "08:42:03");
        assert_eq!(time_in(at, 0, false), "13:42");
        assert_eq!(date_in(Lang::En, 951_782_400_000, 0), "29\u{a0}Feb\u{a0}2000");
        assert_eq!(date_in(Lang::En, -1, 0), "31\u{a0}Dec\u{a0}1969");
        assert_eq!(iso_millis("2000-02-29"), Some(951_782_400_000));
        assert_eq!(iso_millis("2000-13-29"), None);
        assert_eq!(iso_date(Lang::En, "soon"), "soon");
        assert!(same_day_in(at, at + 3_600_000, 0));
        assert!(!same_day_in(at, at + 12 * 3_600_000, 0));
    }

    #[test]
    fn ages_in_words() {
        let now = 1_795_441_323_000;
        assert_eq!(ago(Lang::Es, now - 20_000, now), "ahora mismo");
        assert_eq!(ago(Lang::Es, now - 180_000, now), "hace 3 min");
        assert_eq!(ago(Lang::En, now - 7_200_000, now), "2 h ago");
        assert_eq!(ago(Lang::Es, now - 86_400_000, now), "hace 1 día");
        assert_eq!(ago(Lang::En, now - 3 * 86_400_000, now), "3 days ago");
    }

    #[test]
    fn typed_numbers_are_read_by_locale() {
        assert_eq!(parse_number(Lang::Es, " 1.234,5 "), Some(1234.5));
        assert_eq!(parse_number(Lang::En, "1,234.5"), Some(1234.5));
        assert_eq!(parse_number(Lang::Es, "-3"), Some(-3.0));
        assert_eq!(parse_number(Lang::Es, "tres"), None);
        assert_eq!(parse_number(Lang::Es, ""), None);
        assert_eq!(parse_number(Lang::En, "1e9"), None);
    }

    #[test]
    fn thousands_are_grouped_while_typing_and_nothing_typed_is_lost() {
        assert_eq!(regroup(Lang::Es, "123", "1234", false), "1.234");
        assert_eq!(regroup(Lang::Es, "1.234", "1.2345", false), "12.345");
        assert_eq!(regroup(Lang::Es, "1.234", "1.23", false), "123");
        assert_eq!(regroup(Lang::Es, "1.234", "1.234.", true), "1.234,");
        assert_eq!(regroup(Lang::Es, "1.234", "1.234.", false), "1.234");
        assert_eq!(regroup(Lang::En, "1,234", "1,234,", true), "1,234.");
        assert_eq!(regroup(Lang::Es, "", "1234,5", true), "1.234,5");
        assert_eq!(regroup(Lang::Es, "12", "12a", true), "12a");
        assert_eq!(regroup(Lang::Es, "", "007", false), "7");
        assert_eq!(regroup(Lang::Es, "", "-1500", false), "-1.500");
    }
}
