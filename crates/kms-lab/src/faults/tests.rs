//! Each fault once.

use std::path::PathBuf;

use super::stage::Backend;
use super::{SCENES, play};

/// The program beside this one.
fn server() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("kms-server")
}

fn check(name: &str, backend: Backend, rounds: u32) {
    let scene = SCENES.iter().find(|scene| scene.name == name).unwrap();
    let seen = play(scene, &server(), backend, rounds).unwrap();
    for (what, verdict) in &seen {
        assert!(verdict.is_good(), "{what}: {verdict:#?}");
    }
    // A run that changed nothing proves nothing.
    assert!(seen.iter().any(|(_, verdict)| verdict.done > 0));
}

#[test]
fn what_a_standby_loses_that_nobody_waits_for_is_seen_and_warned_about() {
    let (verdict, log) = super::scenes::trailing_standby_promoted(&server()).unwrap();
    assert!(!verdict.findings.lost.is_empty(), "{verdict:#?}");
    assert!(log.contains("a failover may take back the last answers"), "{log}");
}

macro_rules! each {
    ($($test:ident $name:literal $backend:ident $rounds:literal;)*) => {
        $(#[test]
        fn $test() {
            check($name, Backend::$backend, $rounds);
        })*

        /// Nothing in the table is left out here.
        #[test]
        fn every_fault_has_its_test() {
            let tested = [$(($name, Backend::$backend)),*];
            for scene in SCENES {
                for backend in scene.on {
                    assert!(tested.contains(&(scene.name, *backend)), "{} {backend:?}", scene.name);
                }
            }
        }
    };
}

each! {
    the_server_is_killed_over_sqlite "server" Sqlite 2;
    the_server_is_killed_over_postgres "server" Postgres 1;
    the_server_is_killed_over_mariadb "server" MariaDb 1;
    postgres_is_killed "database" Postgres 1;
    mariadb_is_killed "database" MariaDb 1;
    the_network_to_postgres_fails "network" Postgres 1;
    the_network_to_mariadb_fails "network" MariaDb 1;
    the_pool_to_postgres_is_exhausted "pool" Postgres 1;
    the_pool_to_mariadb_is_exhausted "pool" MariaDb 1;
    postgres_has_no_connection_left "limit" Postgres 1;
    mariadb_has_no_connection_left "limit" MariaDb 1;
    the_disk_of_sqlite_is_full "disk" Sqlite 1;
    the_disk_of_postgres_is_full "disk" Postgres 1;
    the_disk_of_mariadb_is_full "disk" MariaDb 1;
    the_clock_is_set_back_over_sqlite "clock" Sqlite 1;
    the_clock_is_set_back_over_postgres "clock" Postgres 1;
    the_clock_is_set_back_over_mariadb "clock" MariaDb 1;
    a_standby_is_promoted "standby" Postgres 1;
    a_node_of_galera_is_killed "galera" MariaDb 1;
}
