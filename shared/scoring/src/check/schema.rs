//! The rules of the schema.

use super::{Checked, finite, invalid, is_name, plain, shown, text};
use crate::bundle::{CategoryOption, Feature, Kind, Schema, Unseen};
use std::collections::BTreeSet;

const MAX_FEATURES: usize = 500;
const MAX_OPTIONS: usize = 1000;
/// The largest whole number up to which doubles hold every whole number.
const EXACT: i64 = 1 << 53;

pub(super) fn check(schema: &Schema) -> Checked {
    let currency = &schema.currency;
    if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_uppercase()) {
        return Err(invalid(
            "schema.currency",
            "is not an ISO 4217 code",
            "write three capital letters, XXX if the data's currency is not stated",
        ));
    }
    let mut sections = BTreeSet::new();
    for (i, section) in schema.sections.iter().enumerate() {
        let place = format!("schema.sections[{i}]");
        if !is_name(&section.id, '_') {
            return Err(invalid(format!("{place}.id"), "is not lower-case words joined by _", "rename it"));
        }
        if !sections.insert(section.id.as_str()) {
            return Err(invalid(format!("{place}.id"), "names a section a second time", "rename one"));
        }
        text(&section.label, &format!("{place}.label"), false)?;
    }
    if schema.features.is_empty() || schema.features.len() > MAX_FEATURES {
        return Err(invalid(
            "schema.features",
            format!("has {} features", schema.features.len()),
            "a model asks 1 to 500",
        ));
    }
    let mut names = BTreeSet::new();
    for (i, feature) in schema.features.iter().enumerate() {
        let place = format!("schema.features[{i}]");
        if !is_name(&feature.name, '_') {
            return Err(invalid(
                format!("{place}.name"),
                format!("{:?} is not lower-case words joined by _", shown(&feature.name)),
                "rename it",
            ));
        }
        if !names.insert(feature.name.as_str()) {
            return Err(invalid(
                format!("{place}.name"),
                format!("{} names a feature a second time", feature.name),
                "feature names are unique",
            ));
        }
        if !sections.contains(feature.section.as_str()) {
            return Err(invalid(
                format!("{place}.section"),
                format!("{:?} is none of the sections", shown(&feature.section)),
                "add it to schema.sections, or name one that is there",
            ));
        }
        text(&feature.label, &format!("{place}.label"), false)?;
        text(&feature.help, &format!("{place}.help"), true)?;
        kind(feature, &format!("{place}.kind"))?;
    }
    for (i, section) in schema.sections.iter().enumerate() {
        if !schema.features.iter().any(|feature| feature.section == section.id) {
            return Err(invalid(
                format!("schema.sections[{i}]"),
                "asks nothing",
                "remove it, or put a feature into it",
            ));
        }
    }
    Ok(())
}

fn kind(feature: &Feature, place: &str) -> Checked {
    let empty = || invalid(place, "has no value between min and max", "min must be below max");
    match &feature.kind {
        Kind::Number { min, max, .. } => {
            finite(*min, || format!("{place}.min"))?;
            finite(*max, || format!("{place}.max"))?;
            if min < max { Ok(()) } else { Err(empty()) }
        }
        Kind::Integer { min, max, .. } => {
            for (value, end) in [(*min, "min"), (*max, "max")] {
                if !(-EXACT..=EXACT).contains(&value) {
                    return Err(invalid(
                        format!("{place}.{end}"),
                        format!("{value} is beyond 2^53"),
                        "whole numbers stay exact only up to there",
                    ));
                }
            }
            if min < max { Ok(()) } else { Err(empty()) }
        }
        Kind::Category { options, unseen } => {
            if *unseen == Unseen::Missing && !feature.missing_allowed {
                return Err(invalid(
                    format!("{place}.unseen"),
                    "makes an unknown code a missing answer, and none may be missing",
                    "set missing_allowed, or refuse unknown codes",
                ));
            }
            if options.is_empty() || options.len() > MAX_OPTIONS {
                return Err(invalid(
                    format!("{place}.options"),
                    format!("has {} options", options.len()),
                    "a category has 1 to 1000",
                ));
            }
            codes(options, place)
        }
        Kind::Boolean => Ok(()),
    }
}

fn codes(options: &[CategoryOption], place: &str) -> Checked {
    let mut known = BTreeSet::new();
    for (i, option) in options.iter().enumerate() {
        let place = format!("{place}.options[{i}]");
        plain(&option.code, &format!("{place}.code"), false)?;
        if option.code.len() > 64 {
            return Err(invalid(format!("{place}.code"), "has more than 64 bytes", "shorten it"));
        }
        if !known.insert(option.code.as_str()) {
            return Err(invalid(
                format!("{place}.code"),
                format!("{:?} is an option a second time", shown(&option.code)),
                "option codes are unique within a feature",
            ));
        }
        text(&option.label, &format!("{place}.label"), false)?;
    }
    Ok(())
}
