//! Destinations and host lists, which several kinds share.

use super::check::{Check, is_host, is_name};
use crate::hosts;
use crate::kinds::virtual_service::Destination;

/// Checks a destination.
pub(super) fn destination(check: &mut Check<'_>, path: &str, destination: Option<&Destination>) {
    let Some(destination) = destination else { return };
    if destination.host == "*" {
        check.error(format!("{path}.host"), "Invalid value: \"*\": invalid destination host");
    } else if !destination.host.is_empty() && !is_host(&destination.host) {
        check.error(format!("{path}.host"), format!("Invalid value: {:?} is no host name", destination.host));
    }
    if !destination.subset.is_empty() && !is_name(&destination.subset) {
        check
            .error(format!("{path}.subset"), format!("Invalid value: {:?} is no name of a subset", destination.subset));
    }
    if let Some(port) = &destination.port {
        check.port(format!("{path}.port.number"), port.number);
    }
}

/// Checks weights: none negative, and not all of them zero.
pub(super) fn weights(check: &mut Check<'_>, path: &str, weights: &[i32]) {
    for (index, weight) in weights.iter().enumerate() {
        if *weight < 0 {
            check.error(
                format!("{path}[{index}].weight"),
                format!("Invalid value: {weight}: weight must not be negative"),
            );
        }
    }
    if weights.len() > 1 && weights.iter().all(|weight| *weight == 0) {
        check.error_with(path, "Invalid value: total destination weight = 0", "give at least one destination a weight");
    }
}

/// Checks that no host stands twice, wildcards included.
pub(super) fn no_overlap(check: &mut Check<'_>, path: &str, names: &[String]) {
    for (index, name) in names.iter().enumerate() {
        if names[..index].iter().any(|other| other.eq_ignore_ascii_case(name)) {
            check.error(format!("{path}[{index}]"), format!("Duplicate value: {name:?}"));
        } else if let Some(other) = names[..index].iter().find(|other| hosts::overlap(other, name)) {
            check.error(format!("{path}[{index}]"), format!("Invalid value: {name:?} overlaps {other:?}"));
        }
    }
}
