//! A portfolio in the order of keys, as a device that has nothing yet takes it.
//!
//! In the order of their last changes the records of a portfolio that years have gone over come from all over the
//! server's file, and each page of them goes all over the device's: of a hundred thousand clients a page touches
//! nearly every page of each tree. Keys rise with the time of their making, so that in their order both files are gone
//! through from their beginning to their end.

use super::*;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Whose records to bring, and from where on.
#[derive(Debug, Clone, Copy)]
pub struct PortfolioQuery {
    /// Of which branch.
    pub branch: BranchId,
    /// Only of this officer's portfolio.
    pub owner: Option<UserId>,
    /// Past this place, if not from the beginning.
    pub after: Option<Place>,
    /// As of a [`PullQuery`].
    pub seen: u64,
    /// At most so many.
    pub limit: u32,
    /// Whether to count what follows the page.
    pub count: bool,
}

/// What a portfolio consists of, in the order in which it is brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Everybody.
    Clients,
    /// The last assessment of each.
    Assessments,
    /// Clients who are not in it any more.
    GoneClients,
    /// Assessments of those.
    GoneAssessments,
}

impl Section {
    const ALL: [Section; 4] =
        [Section::Clients, Section::Assessments, Section::GoneClients, Section::GoneAssessments];

    /// As the column of a key names it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Section::Clients | Section::GoneClients => "client",
            Section::Assessments | Section::GoneAssessments => "assessment",
        }
    }

    /// Whether what is in it left the portfolio. A branch has nothing that left it.
    pub(crate) fn gone(self) -> bool {
        matches!(self, Section::GoneClients | Section::GoneAssessments)
    }

    /// SQL that goes on a condition of rows `r` of records, to leave those that are in it.
    pub(crate) fn among(self) -> String {
        if self == Section::Assessments { format!(" AND NOT {HAS_LATER}") } else { String::new() }
    }
}

/// The place of a record in the order of a portfolio: by section, then officer and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub(crate) section: Section,
    pub(crate) owner: Uuid,
    pub(crate) id: Uuid,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{}{}", self.section as u8, self.owner.simple(), self.id.simple())
    }
}

impl FromStr for Place {
    type Err = ();

    /// Only what [`fmt::Display`] makes.
    fn from_str(text: &str) -> std::result::Result<Place, ()> {
        let part = |from, to| text.get(from..to).ok_or(());
        let uuid = |from, to| Uuid::try_parse(part(from, to)?).map_err(|_| ());
        let number = usize::from_str_radix(part(0, 2)?, 16).map_err(|_| ())?;
        let section = *Section::ALL.get(number).ok_or(())?;
        let place = Place { section, owner: uuid(2, 34)?, id: uuid(34, 66)? };
        if place.to_string() == text { Ok(place) } else { Err(()) }
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A section from a place on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub section: Section,
    /// Whose, or from whose on where all of a branch is asked for.
    pub owner: Uuid,
    /// From which on.
    pub id: Uuid,
    /// How a row's key compares with those: `>`, or `>=` where the section begins.
    pub past: &'static str,
}

impl Stretch {
    /// What to count in its place, and SQL that goes on the condition: of each client one assessment is the last, so
    /// that a whole section of them need not be gone through with all the others.
    pub(crate) fn as_counted(self) -> (Stretch, &'static str) {
        if self.section == Section::Assessments && self.past == ">=" {
            let assessed = " AND EXISTS (SELECT 1 FROM records o WHERE o.client = r.client AND o.hlc > '')";
            (Stretch { section: Section::Clients, ..self }, assessed)
        } else {
            (self, "")
        }
    }
}

impl PortfolioQuery {
    /// What follows a place, section by section.
    pub(crate) fn stretches(&self, after: Option<Place>) -> impl Iterator<Item = Stretch> + use<> {
        let (owner, branch_alone) = (self.owner.map(|owner| owner.0), self.owner.is_none());
        let from = after.map_or(0, |place| place.section as usize);
        Section::ALL.into_iter().skip(from).filter(move |section| !(branch_alone && section.gone())).map(
            move |section| {
                let (place_owner, id, past) = match after {
                    Some(place) if place.section == section => (place.owner, place.id, ">"),
                    _ => (Uuid::nil(), Uuid::nil(), ">="),
                };
                Stretch { section, owner: owner.unwrap_or(place_owner), id, past }
            },
        )
    }

    /// A page of these rows, of which one more than asked for was read if there is one; each with its place and its
    /// body, none if it left.
    pub(crate) fn page(&self, end: u64, rows: Vec<(Place, Option<String>)>) -> Result<PullPage> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let sizes = rows.iter().take(limit).map(|(_, body)| body.as_ref().map_or(0, String::len));
        let fits = codec::fitting(sizes);
        let more = rows.len() > fits;
        let mut changes = Vec::with_capacity(fits);
        let mut next = None;
        for (place, body) in rows.into_iter().take(fits) {
            changes.push(PageChange::of(body, || codec::key_of(place.section.kind(), place.id))?);
            next = Some(place);
        }
        Ok(PullPage { changes, cursor: end, end, next: next.filter(|_| more), more, ..PullPage::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_nothing_else_is() {
        for section in Section::ALL {
            let place = Place { section, owner: Uuid::from_u128(7), id: Uuid::from_u128(u128::MAX) };
            let text = place.to_string();
            assert_eq!((text.len(), text.parse()), (66, Ok(place)));
            let longer = format!("{text}0");
            for wrong in ["", &text[1..], &longer, &text.to_uppercase(), &text.replacen("0", "é", 1)] {
                assert_eq!(wrong.parse::<Place>(), Err(()), "{wrong}");
            }
        }
        let nowhere = format!("04{}", "0".repeat(64));
        assert_eq!(nowhere.parse::<Place>(), Err(()));
    }

    #[test]
    fn who_goes_on_leaves_out_what_is_behind() {
        let officer = Uuid::from_u128(3);
        let query = |owner: Option<Uuid>| PortfolioQuery {
            branch: BranchId(Uuid::from_u128(1)),
            owner: owner.map(UserId),
            after: None,
            seen: 0,
            limit: 1,
            count: false,
        };
        let seen = |owner, after| -> Vec<_> {
            query(owner).stretches(after).map(|s| (s.section, s.owner, s.id, s.past)).collect()
        };
        let nil = Uuid::nil();
        let place =
            Place { section: Section::Assessments, owner: Uuid::from_u128(5), id: Uuid::from_u128(6) };
        assert_eq!(
            seen(None, Some(place)),
            [(Section::Assessments, place.owner, place.id, ">")],
            "a branch has nothing that left it"
        );
        assert_eq!(
            seen(Some(officer), Some(place)),
            [
                (Section::Assessments, officer, place.id, ">"),
                (Section::GoneClients, officer, nil, ">="),
                (Section::GoneAssessments, officer, nil, ">="),
            ],
            "whoever's place it says"
        );
        assert_eq!(seen(Some(officer), None).len(), 4);
    }
}
