//! `audit verify`: checks the audit log beside a server that may be running. What makes a log sound
//! is known elsewhere.

use kms_audit::{Finding, Note, Summary};
use kms_config::Config;
use kms_config::commands::Given;
use kms_config::exit::Exit;
use kms_core::AuditReport;

use crate::compose::{self, StartError};
use crate::{audit, print};

pub(super) async fn verify(config: &Config, given: &Given) -> Result<Exit, StartError> {
    let from = given.operand("NUMBER").map(number).transpose()?;
    let places = audit::places(config)?;
    if places.is_empty() {
        let text = "KMS_AUDIT is off: there is no log to check";
        return Err(StartError::new(Exit::Configuration, text));
    }
    let store = compose::beside(config).await?;
    let vault = compose::vault(config, &store).await?;
    let mut ending = Exit::Success;
    for place in &places {
        let report = kms_core::verify_audit(&store, &vault, place, from).await;
        let AuditReport { place, verdict } = report.map_err(|error| audit::error(&error))?;
        let (text, exit) = match verdict {
            Ok(summary) => (sound(&place, &summary), Exit::Success),
            Err(finding) => (altered(&place, &finding), Exit::Altered),
        };
        let printed = print(text.as_bytes());
        ending = match (ending, exit) {
            (Exit::Success, Exit::Success) => printed,
            (Exit::Success, exit) => exit,
            (ending, _) => ending,
        };
    }
    Ok(ending)
}

fn number(text: &str) -> Result<u64, StartError> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        StartError::new(Exit::Configuration, "--from takes the number of a record, such as 4711")
    })
}

fn sound(place: &str, summary: &Summary) -> String {
    let Summary { records, parts, last, notes } = summary;
    let mut text = match last {
        None => format!("The audit log has no record yet: {place}.\n"),
        Some(last) => format!(
            "The audit log is sound: {records} records up to number {last}, in {parts} parts, in \
             {place}.\n"
        ),
    };
    text.extend(notes.iter().map(|note| {
        let word = if matches!(note, Note::LostTail { .. }) { "" } else { "note: " };
        format!("  {word}{note}\n")
    }));
    text
}

fn altered(place: &str, finding: &Finding) -> String {
    format!(
        "The audit log was ALTERED, in {place}.\n  {finding}\n  What comes after it was not checked.\n"
    )
}
