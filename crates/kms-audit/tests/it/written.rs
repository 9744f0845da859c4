//! What is written, when, and what happens when it cannot be.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kms_audit::{Flush, Log, Note, Sink, Sync, What};

use super::{World, append, flush, hand_over};

fn eventually(what: &str, is: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_was_handed_over_can_be_read_and_what_was_appended_follows_by_itself() {
    let mut world = World::new();
    let log = world.start();
    let ticket = append(&log, "Encrypt");
    hand_over(&log, ticket).unwrap();
    let lines = world.lines();
    assert_eq!(lines[0].len(), 2);
    let read: serde_json::Value = serde_json::from_str(&lines[0][1]).unwrap();
    assert_eq!(read["seq"], 2);
    assert_eq!(read["time"], "2023-11-14T22:13:20.000Z");
    assert_eq!(read["operation"], "Encrypt");
    let began = Instant::now();
    let last = append(&log, "Get");
    eventually("not on the disk", || log.durable().seq == last.seq());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_log_that_ended_in_order_is_sound_and_the_next_goes_on() {
    let mut world = World::new();
    for _ in 0..3 {
        let log = world.start();
        append(&log, "Encrypt");
        world.stop(&log);
    }
    let summary = world.verify().unwrap();
    assert_eq!((summary.records, summary.parts, summary.last), (9, 3, Some(9)));
    assert_eq!(summary.notes, []);
}

/// What the next start of a server reads: where the log ends, and what stands in it since a record.
#[test]
fn the_end_and_what_came_since_can_be_read() {
    let mut world = World::new();
    assert_eq!(kms_audit::end(&world.files()).unwrap(), None);
    world.part_size = 600;
    let log = world.start();
    for _ in 0..12 {
        append(&log, "Encrypt");
    }
    world.stop(&log);
    let last = log.durable();
    drop(log);
    assert!(world.paths().len() > 3, "{:?}", world.paths());
    assert_eq!(kms_audit::end(&world.files()).unwrap(), Some(last));
    // Half a line is none, whatever it says.
    let path = world.paths().pop().unwrap();
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"seq\":99,\"time");
    std::fs::write(&path, text).unwrap();
    assert_eq!(kms_audit::end(&world.files()).unwrap(), Some(last));
    for from in 0..=last.seq + 1 {
        let mut found = Vec::new();
        kms_audit::since(&world.files(), from, &mut |line| found.extend(seqs(line))).unwrap();
        assert_eq!(found, (from.max(1)..=last.seq).collect::<Vec<_>>(), "from {from}");
    }
}

#[test]
fn files_are_ended_at_their_size_and_are_ours_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut world = World::new();
    world.part_size = 1024;
    let log = world.start();
    for _ in 0..100 {
        let ticket = append(&log, "Encrypt");
        if ticket.seq().is_multiple_of(7) {
            hand_over(&log, ticket).unwrap();
        }
    }
    world.stop(&log);
    let lines = world.lines();
    assert!(lines.len() > 10);
    for (path, lines) in world.paths().iter().zip(&lines) {
        let metadata = path.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!((1024..1400).contains(&metadata.len()) || Some(lines) == world.lines().last());
        let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("audit-5e7f-000001-{:012}.jsonl", first["seq"].as_u64().unwrap()));
        assert!(["Start", "Continue"].contains(&first["log"].as_str().unwrap()));
    }
    assert_eq!(world.verify().unwrap().records, lines.concat().len() as u64);
}

#[test]
fn many_threads_make_one_chain() {
    let mut world = World::new();
    world.part_size = 4096;
    for sync in [Sync::Group, Sync::Each] {
        world.sync = sync;
        let log = world.start();
        let write = || {
            for _ in 0..50 {
                let ticket = append(&log, "Encrypt");
                hand_over(&log, ticket).unwrap();
                assert!(log.is_handed_over(ticket));
                assert!(sync == Sync::Group || log.durable().seq >= ticket.seq());
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(write))));
        world.stop(&log);
    }
    world.verify().unwrap();
}

#[test]
fn a_directory_of_others_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let files = world.files();
    files.admit().unwrap();
    std::fs::set_permissions(files.directory(), std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(files.admit().unwrap_err().to_string().contains("chmod go-w"));
    let file = world.directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let files = kms_audit::Files::new(&file, "a");
    assert!(files.admit().unwrap_err().why.contains("not a directory"));
}

#[test]
fn a_file_that_is_taken_away_is_noticed_and_its_records_are_missed() {
    let mut world = World::new();
    let log = world.start();
    let ticket = append(&log, "Encrypt");
    flush(&log, ticket).unwrap();
    world.note_head(&log);
    std::fs::remove_dir_all(world.files().directory()).unwrap();
    std::fs::write(world.files().directory(), "in the way").unwrap();
    append(&log, "Encrypt");
    eventually("not noticed", || log.ready().is_err());
    assert!(log.ready().unwrap_err().to_string().contains("cannot be written"));
    std::fs::remove_file(world.files().directory()).unwrap();
    eventually("not mended", || log.ready().is_ok());
    let ticket = append(&log, "Encrypt");
    hand_over(&log, ticket).unwrap();
    world.stop(&log);
    let finding = world.verify().unwrap_err();
    assert_eq!(finding.what, What::Removed { from: 1, to: 3 });
}

/// A sink that takes so many bytes, like a disk that gets full.
#[derive(Default)]
struct Disk {
    room: AtomicUsize,
    flush_fails: AtomicU64,
    bytes: Mutex<Vec<u8>>,
    parts: Mutex<Vec<(u64, usize)>>,
}

struct OnDisk(Arc<Disk>, bool);

impl Sink for OnDisk {
    fn begin(&mut self, first: u64) -> io::Result<()> {
        let at = self.0.bytes.lock().unwrap().len();
        self.0.parts.lock().unwrap().push((first, at));
        self.1 = true;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(self.1);
        // In small pieces, as after a signal.
        let count = bytes.len().min(self.0.room.load(Ordering::SeqCst)).min(50);
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.room.fetch_sub(count, Ordering::SeqCst);
        self.0.bytes.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<Flush> {
        let disk = Arc::clone(&self.0);
        Ok(Box::new(move || {
            let fails = disk.flush_fails.load(Ordering::SeqCst);
            if fails == 0 {
                return Ok(());
            }
            disk.flush_fails.store(fails - 1, Ordering::SeqCst);
            Err(io::Error::other("the disk does not answer"))
        }))
    }

    fn abandon(&mut self) {
        self.1 = false;
    }

    fn is_begun(&self) -> bool {
        self.1
    }
}

fn on_disk(world: &mut World, room: usize) -> (Log, Arc<Disk>) {
    let disk = Arc::new(Disk::default());
    disk.room.store(room, Ordering::SeqCst);
    let log = world.start_with(Box::new(OnDisk(Arc::clone(&disk), false)));
    (log, disk)
}

fn seqs(bytes: &[u8]) -> Vec<u64> {
    let text = std::str::from_utf8(bytes).unwrap();
    let seq = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap()
    };
    text.lines().map(seq).collect()
}

#[test]
fn a_full_disk_closes_the_log_and_room_opens_it_without_a_loss() {
    for sync in [Sync::Group, Sync::Each] {
        let mut world = World::new();
        (world.part_size, world.sync) = (500, sync);
        let (log, disk) = on_disk(&mut world, 1000);
        let mut refused = 0;
        for _ in 0..8 {
            let ticket = append(&log, "Encrypt");
            refused += u64::from(hand_over(&log, ticket).is_err());
        }
        assert!(refused > 0);
        assert!(log.ready().is_err());
        disk.room.store(1 << 20, Ordering::SeqCst);
        eventually("not mended", || log.ready().is_ok());
        let last = append(&log, "Encrypt");
        hand_over(&log, last).unwrap();
        assert_eq!(seqs(&disk.bytes.lock().unwrap()), (1..=last.seq()).collect::<Vec<_>>());
    }
}

#[test]
fn after_a_failed_flush_another_part_is_begun() {
    let mut world = World::new();
    let (log, disk) = on_disk(&mut world, 1 << 20);
    let ticket = append(&log, "Encrypt");
    disk.flush_fails.store(1, Ordering::SeqCst);
    let waited = flush(&log, ticket);
    assert!(waited.is_err(), "{waited:?}");
    eventually("not mended", || log.ready().is_ok());
    let last = append(&log, "Encrypt");
    flush(&log, last).unwrap();
    assert_eq!(disk.parts.lock().unwrap().len(), 2);
    assert_eq!(disk.parts.lock().unwrap()[1].0, 3);
    assert_eq!(seqs(&disk.bytes.lock().unwrap()), [1, 2, 3]);
}

#[test]
fn a_torn_line_and_a_missing_end_are_no_change() {
    for whole in [false, true] {
        let mut world = World::new();
        let log = world.start();
        let ticket = append(&log, "Encrypt");
        flush(&log, ticket).unwrap();
        world.note_head(&log);
        // Handed over, and never on the disk.
        let lost = append(&log, "Encrypt");
        hand_over(&log, lost).unwrap();
        drop(log);
        let path = world.paths().pop().unwrap();
        let (kept, end) = (super::lines(&path), world.lines()[0][2].len());
        let kept = kept[..2].concat() + if whole { "" } else { kept[2].split_at(end / 2).0 };
        std::fs::write(&path, kept).unwrap();
        let notes = world.verify().unwrap().notes;
        assert_eq!(notes.len(), 1 + usize::from(!whole), "{notes:?}");
        assert_eq!(notes.last(), Some(&Note::Open { epoch: 1, after: 2 }));
        // The next epoch goes on behind it.
        let log = world.start();
        world.stop(&log);
        let summary = world.verify().unwrap();
        assert_eq!(summary.records, 4);
        assert_eq!(summary.notes.last(), Some(&Note::LostTail { epoch: 1, after: 2 }));
    }
}
