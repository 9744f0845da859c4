//! A standby of PostgreSQL: it follows a primary that waits for it, and is promoted when that is gone.

use std::time::{Duration, Instant};

use super::Kind;
use super::instance::{Instance, Origin};
use super::postgres::STANDBY;
use crate::server::pause;

/// How long the standby may take to follow.
const PATIENCE: Duration = Duration::from_mins(1);

impl Instance {
    /// A standby of this PostgreSQL that has all that it has, and from now on all that is answered:
    /// each commit waits for it.
    #[must_use]
    pub fn standby(&self) -> Self {
        let standby = self.trailing_standby();
        self.sql_in(
            "postgres",
            &format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'"),
        );
        self.sql_in("postgres", "SELECT pg_reload_conf()");
        self.wait_for_standby("sync");
        standby
    }

    /// A standby of this PostgreSQL for which nobody waits.
    #[must_use]
    pub fn trailing_standby(&self) -> Self {
        assert_eq!(self.kind(), Kind::Postgres, "only PostgreSQL has standbys");
        let place = self.place();
        let standby = Self::builder(Kind::Postgres)
            .origin(Origin::Primary(place.path("run"), place.port))
            .start();
        self.wait_for_standby("async");
        standby
    }

    fn wait_for_standby(&self, state: &str) {
        let asked = "SELECT state || ' ' || sync_state FROM pg_stat_replication";
        let wanted = format!("streaming {state}");
        let until = Instant::now() + PATIENCE;
        while self.sql_in("postgres", asked).trim() != wanted {
            assert!(Instant::now() < until, "it is not followed: {}", self.log());
            pause();
        }
    }

    /// Makes this standby a primary, and waits until it takes writes. It has no standby of its own.
    pub fn promote(&self) {
        let promoted = self.sql_in("postgres", "SELECT pg_promote(true, 60)");
        assert_eq!(promoted.trim(), "t", "{}", self.log());
    }
}
