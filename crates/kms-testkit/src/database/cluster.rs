//! A Galera cluster: nodes of MariaDB that have the same rows, each of which takes writes. A node is
//! killed and brought back, and the others go on without it.

use std::time::{Duration, Instant};

use super::instance::{Instance, Origin};
use super::place::free_port;
use super::{Kind, USER};
use crate::server::pause;

/// The library that makes a cluster of them.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";

/// How long a node may take to have what the others have.
const PATIENCE: Duration = Duration::from_mins(1);

/// How soon the others go on without a node that is gone: a tenth of what an operator's wait, who
/// has a network between them.
const TIMES: &str = "evs.keepalive_period=PT0.2S;evs.inactive_check_period=PT0.1S;\
                     evs.suspect_timeout=PT0.6S;evs.inactive_timeout=PT1.5S;\
                     evs.install_timeout=PT1.5S;evs.join_retrans_period=PT0.2S";

/// A cluster. It is killed, and its directories removed, when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Instance>,
}

impl Cluster {
    /// Starts one of so many nodes, and waits until all of them can be used.
    pub fn start(count: usize) -> Self {
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let members: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut cluster = Self { nodes: Vec::new() };
        for (number, port) in ports.iter().enumerate() {
            let origin = if number == 0 { Origin::Founded } else { Origin::Cluster };
            let options = format!(
                "gmcast.listen_addr=tcp://127.0.0.1:{port};ist.recv_addr=127.0.0.1:{};\
                 gcache.size=16M;{TIMES}",
                free_port()
            );
            let node = Instance::builder(Kind::MariaDb)
                .setting("wsrep-on", "ON")
                .setting("wsrep-provider", PROVIDER)
                .setting("wsrep-cluster-name", USER)
                .setting("wsrep-cluster-address", format!("gcomm://{}", members.join(",")))
                .setting("wsrep-node-name", format!("node-{number}"))
                .setting("wsrep-node-address", "127.0.0.1")
                .setting("wsrep-provider-options", format!("\"{options}\""))
                .setting("wsrep-sst-method", "rsync")
                .setting("wsrep-sst-receive-address", format!("127.0.0.1:{}", free_port()))
                .setting("binlog-format", "ROW")
                .setting("innodb-autoinc-lock-mode", 2)
                .origin(origin)
                .start();
            cluster.nodes.push(node);
            cluster.wait_for(number);
        }
        cluster
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[Instance] {
        &self.nodes
    }

    /// One of them.
    pub fn node(&self, number: usize) -> &Instance {
        self.nodes.get(number).unwrap_or_else(|| panic!("there is no node {number}"))
    }

    /// The URL that names all nodes.
    pub fn url(&self) -> String {
        self.url_from(0)
    }

    /// The same, with this node as the first.
    pub fn url_from(&self, first: usize) -> String {
        let (front, back) = self.nodes.split_at(first % self.nodes.len().max(1));
        let hosts: Vec<String> =
            back.iter().chain(front).map(|node| node.address().to_string()).collect();
        let one = self.node(0);
        one.url().replace(&one.address().to_string(), &hosts.join(","))
    }

    /// Kills a node, as a power cut would.
    pub fn kill(&self, number: usize) {
        self.node(number).kill();
    }

    /// Brings a node back, and waits until it has what the others have.
    pub fn resume(&self, number: usize) {
        self.node(number).resume();
        self.wait_for(number);
    }

    fn wait_for(&self, number: usize) {
        let node = self.node(number);
        let until = Instant::now() + PATIENCE;
        loop {
            let state = "SHOW STATUS LIKE 'wsrep_local_state_comment'";
            if node.try_sql(None, state).is_ok_and(|state| state.contains("Synced")) {
                return;
            }
            assert!(Instant::now() < until, "node {number} is not in time: {}", node.log());
            pause();
        }
    }
}
