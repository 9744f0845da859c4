//! `token create`, `token list` and `token revoke`: API tokens for machines, beside a server that
//! may be running. Knows the words of the commands; what a token is, is the core's.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kms_config::Config;
use kms_config::commands::Given;
use kms_config::exit::Exit;
use kms_core::{ApiTokens, Clock, ListedApiToken, SystemClock, TokenError, TokenState};

use crate::compose::{self, StartError};
use crate::{callers, complain, print};

/// What a number of time may be followed by, and how many seconds that is.
const UNITS: [(char, i64); 4] = [('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];

pub(super) async fn create(config: &Config, given: &Given) -> Result<Exit, StartError> {
    let name = given.operand("NAME").unwrap_or_default();
    let user = given.operand("USER");
    let expires = given.operand("TIME").map(|text| end(text, SystemClock.now())).transpose()?;
    let tokens = open(config).await?;
    let failed = |error: TokenError| failed(&error);
    let first = !tokens.exist().await.map_err(|error| failed(error.into()))?;
    let text = tokens.create(name, user, expires).await.map_err(failed)?;
    let made = tokens.list().await.map_err(failed)?.into_iter().find(|it| it.name == name);
    let user = made.map(|it| it.user).unwrap_or_default();
    let until =
        expires.map_or_else(|| "without an end".to_owned(), |it| format!("until {}", shown(it)));
    complain(&format!(
        "The token {name} is the user {user}, {until}. Keep it now: it is shown once."
    ));
    if first && !callers::asks_without_tokens(config) {
        complain(
            "It is the first token. A server that is running on this database asks nobody who they \
             are until it is started again; from then on whoever has no token is refused.",
        );
    }
    // Only the token itself, so that it can be redirected.
    let exit = print(text.expose());
    if exit == Exit::Success { Ok(print(b"\n")) } else { Ok(exit) }
}

pub(super) async fn list(config: &Config) -> Result<Exit, StartError> {
    let tokens = open(config).await?.list().await.map_err(|error| failed(&error))?;
    if tokens.is_empty() {
        complain("There are no API tokens.");
    }
    Ok(print(table(&tokens).as_bytes()))
}

pub(super) async fn revoke(config: &Config, given: &Given) -> Result<Exit, StartError> {
    let name = given.operand("NAME").unwrap_or_default();
    let tokens = open(config).await?;
    tokens.revoke(name).await.map_err(|error| failed(&error))?;
    complain(&format!("The token {name} is revoked: every server refuses it within a second."));
    Ok(Exit::Success)
}

/// The tokens of the server's database, which may be running.
async fn open(config: &Config) -> Result<ApiTokens, StartError> {
    let store = compose::beside(config).await?;
    let vault = compose::vault(config, &store).await?;
    Ok(ApiTokens::new(store, Arc::new(vault), Arc::new(SystemClock)))
}

fn failed(error: &TokenError) -> StartError {
    let exit = match error {
        TokenError::Store(_) => Exit::Database,
        TokenError::Name | TokenError::User(_) | TokenError::Past => Exit::Configuration,
        _ => Exit::Failure,
    };
    StartError::new(exit, error.to_string())
}

/// When a token ends: a date (its first second, in UTC), a time, or how long from `now`.
fn end(text: &str, now: i64) -> Result<i64, StartError> {
    let end = if let Some(seconds) = seconds(text) {
        now.checked_add(seconds)
    } else if text.len() == "2030-01-31".len() {
        // jiff takes any time for a date, and leaves out what follows.
        text.parse::<Date>().ok().and_then(|date| {
            TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok().map(Timestamp::as_second)
        })
    } else {
        text.parse::<Timestamp>().ok().map(Timestamp::as_second)
    };
    end.filter(|end| Timestamp::from_second(*end).is_ok()).ok_or_else(|| {
        let text: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        StartError::new(
            Exit::Configuration,
            format!(
                "--expires \"{text}\" is no time; write a date (2030-01-31: its first second, in \
                 UTC), a time (2030-01-31T12:00:00Z), or how long from now (12h, 90d)"
            ),
        )
    })
}

/// `90d`, in seconds.
fn seconds(text: &str) -> Option<i64> {
    let (unit, size) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let count = text.strip_suffix(unit)?;
    let digits = count.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| count.parse::<i64>().ok()?.checked_mul(size)).flatten()
}

fn shown(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_too_far| second.to_string(), |it| it.to_string())
}

/// The tokens in columns, under what they are.
fn table(tokens: &[ListedApiToken]) -> String {
    if tokens.is_empty() {
        return String::new();
    }
    let mut rows = vec![["NAME", "USER", "STATE", "MADE", "ENDS", "ID"].map(str::to_owned)];
    rows.extend(tokens.iter().map(|token| {
        let state = match token.state {
            TokenState::Active => "good",
            TokenState::Expired => "expired",
            TokenState::Revoked => "revoked",
            TokenState::Altered => "ALTERED",
        };
        let ends = token.expires.map_or_else(|| "-".to_owned(), shown);
        // Who can write the database can write anything here.
        let plain = |text: &str| text.escape_debug().to_string();
        let (name, user, id) = (plain(&token.name), plain(&token.user), plain(&token.id));
        [name, user, state.to_owned(), shown(token.created), ends, id]
    }));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_in_every_form() {
        const NOW: i64 = 1_893_452_400;
        for (text, expected) in [
            ("90d", "2030-03-31T23:00:00Z"),
            ("12h", "2030-01-01T11:00:00Z"),
            ("2030-01-31", "2030-01-31T00:00:00Z"),
            ("2030-01-31T12:00:00+02:00", "2030-01-31T10:00:00Z"),
            // That it is over is found out where tokens are made.
            ("1999-01-01", "1999-01-01T00:00:00Z"),
        ] {
            assert_eq!(end(text, NOW).map(shown).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "d", "-1d", "1.5h", "90", "9223372036854775807w", "tomorrow", "2030-02-30"]
        {
            assert!(end(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn what_stands_in_the_database_does_not_reach_the_terminal() {
        let token = ListedApiToken {
            name: "a\u{1b}[2J".to_owned(),
            user: "token:a".to_owned(),
            id: "0".to_owned(),
            created: 0,
            expires: None,
            state: TokenState::Altered,
        };
        let text = table(&[token]);
        assert!(!text.contains('\u{1b}') && text.contains("ALTERED"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}
