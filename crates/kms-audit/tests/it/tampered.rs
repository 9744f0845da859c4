//! Each way to change a log, and what the check says of it.

use kms_audit::{Expected, Finding, Note, What};

use super::{World, append};

type Parts = Vec<Vec<String>>;

/// Three epochs over several files: records 1 to about 60.
fn sound() -> World {
    let mut world = World::new();
    world.part_size = 1024;
    for count in [30, 3, 20] {
        let log = world.start();
        for number in 0..count {
            append(&log, if number % 2 == 0 { "Encrypt" } else { "Get" });
        }
        world.stop(&log);
    }
    world
}

/// The file and the line of a record.
fn place(parts: &Parts, seq: u64) -> (usize, usize) {
    let begin = format!("{{\"seq\":{seq},");
    let found = parts.iter().enumerate().find_map(|(part, lines)| {
        Some((part, lines.iter().position(|line| line.starts_with(&begin))?))
    });
    found.unwrap()
}

fn last(parts: &Parts) -> u64 {
    parts.concat().len() as u64
}

fn remove(parts: &mut Parts, seq: u64) {
    let (part, line) = place(parts, seq);
    parts[part].remove(line);
}

fn insert(parts: &mut Parts, before: u64, line: String) {
    let (part, at) = place(parts, before);
    parts[part].insert(at, line);
}

fn take(parts: &Parts, seq: u64) -> String {
    let (part, line) = place(parts, seq);
    parts[part][line].clone()
}

fn replace(parts: &mut Parts, seq: u64, from: &str, to: &str) {
    let (part, line) = place(parts, seq);
    let changed = parts[part][line].replace(from, to);
    assert_ne!(changed, parts[part][line]);
    parts[part][line] = changed;
}

/// Changes the lines of a sound log; what the check finds, and in which line of its file.
#[expect(clippy::needless_pass_by_value, reason = "a row of a table")]
fn check(name: &str, change: impl Fn(&mut Parts), what: What, seq: Option<u64>) {
    let world = sound();
    let mut parts = world.lines();
    assert_eq!(world.verify().unwrap().records, last(&parts), "{name}");
    let before = parts.clone();
    change(&mut parts);
    for (path, lines) in world.paths().iter().zip(&parts) {
        if lines.is_empty() {
            std::fs::remove_file(path).unwrap();
        } else {
            std::fs::write(path, lines.concat()).unwrap();
        }
    }
    let finding = world.verify().err().unwrap_or_else(|| panic!("{name}: not found"));
    assert_eq!(finding.what, what, "{name}: {finding}");
    if let Some(seq) = seq {
        let (part, line) = place(&before, seq);
        let path = &world.paths()[part];
        assert_eq!(finding.part.as_deref(), path.file_name().unwrap().to_str(), "{name}");
        assert_eq!(finding.line, line as u64 + 1, "{name}");
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a word in a table")]
fn at(seq: u64) -> Option<u64> {
    Some(seq)
}

/// The number of the record that begins an epoch.
fn start(parts: &Parts, epoch: usize) -> u64 {
    let lines = parts.concat();
    let is_start = |line: &&String| line.contains("\"log\":\"Start\"");
    let line = lines.iter().filter(is_start).nth(epoch - 1).unwrap();
    serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap()
}

/// The first record of a part.
fn first(parts: &Parts, part: usize) -> u64 {
    serde_json::from_str::<serde_json::Value>(&parts[part][0]).unwrap()["seq"].as_u64().unwrap()
}

#[test]
fn what_was_changed_is_named() {
    let changed = |seq| What::Changed { seq };
    let lines = sound().lines();
    let (second, end) = (start(&lines, 2), last(&lines));
    check("a word", |it| replace(it, 9, "Encrypt", "Get"), changed(9), at(9));
    check("the time", |it| replace(it, 4, "2023", "2024"), changed(4), at(4));
    check(
        "a MAC that is too long",
        |it| replace(it, 9, "mac\":\"", "mac\":\"0"),
        changed(9),
        at(9),
    );
    let flip = |it: &mut Parts| {
        let line = take(it, 9);
        let digit = line.split_at(line.len() - 4).1;
        let other = if digit.starts_with('0') { "1\"}\n" } else { "0\"}\n" };
        replace(it, 9, digit, other);
    };
    check("a digit of a MAC", flip, changed(9), at(9));
    check("a member more", |it| replace(it, 2, ",\"mac\"", ",\"x\":1,\"mac\""), changed(2), at(2));
    check("no line at all", |it| replace(it, 9, "{\"seq\"", "{ \"seq\""), changed(9), at(9));
    check("a long line", |it| replace(it, 9, "\"time", &" ".repeat(200_000)), changed(9), at(9));
    check("the first of all", |it| replace(it, 1, "Start", "Begin"), changed(1), at(1));
    check(
        "the first of an epoch",
        |it| replace(it, second, "Start", "Begin"),
        changed(second),
        at(second),
    );
    let begin = first(&lines, 1);
    check(
        "the first of a file",
        |it| replace(it, begin, "Continue", "Start"),
        changed(begin),
        at(begin),
    );
    check("the last of all", |it| replace(it, end, "Stop", "Halt"), changed(end), at(end));
}

#[test]
fn what_was_removed_is_named() {
    let removed = |from, to| What::Removed { from, to };
    let lines = sound().lines();
    let (second, third, end) = (start(&lines, 2), start(&lines, 3), last(&lines));
    check("one", |it| remove(it, 9), removed(9, 9), at(9));
    check("the first", |it| remove(it, 1), removed(1, 1), at(1));
    check("several", |it| (3..6).for_each(|seq| remove(it, seq)), removed(3, 5), at(3));
    let (a, b) = (first(&lines, 1), first(&lines, 2));
    check("the last of a file", |it| remove(it, a - 1), removed(a - 1, a - 1), None);
    check("a file in the middle", |it| it[1].clear(), removed(a, b - 1), None);
    check("the first file", |it| it[0].clear(), removed(1, a - 1), None);
    let cut = |from, to| What::CutOff { from, to };
    check("the last of an epoch", |it| remove(it, second - 1), cut(second - 1, second - 1), None);
    let epoch = |it: &mut Parts| (second..third).for_each(|seq| remove(it, seq));
    check("an epoch", epoch, cut(second, third - 1), None);
    check("the last of all", |it| remove(it, end), cut(end, end), None);
    check(
        "the end",
        |it| (third + 1..=end).for_each(|seq| remove(it, seq)),
        cut(third + 1, end),
        None,
    );
    check("all", |it| it.iter_mut().for_each(Vec::clear), cut(1, second - 1), None);
    let torn = |it: &mut Parts| {
        let line = it.last_mut().unwrap().last_mut().unwrap();
        line.truncate(20);
    };
    check("half of the last", torn, cut(end, end), None);
}

/// Of a server that was killed before the database heard of its last records: the next start did.
#[test]
fn what_was_cut_off_before_a_later_start_is_named() {
    let mut world = World::new();
    let log = world.start();
    for _ in 0..5 {
        append(&log, "Encrypt");
    }
    drop(log);
    let log = world.start();
    world.stop(&log);
    assert_eq!(world.verify().unwrap().notes, [Note::LostTail { epoch: 1, after: 6 }]);
    let path = world.paths().remove(0);
    let kept: String = super::lines(&path).into_iter().take(4).collect();
    std::fs::write(&path, kept).unwrap();
    assert_eq!(world.verify().unwrap_err().what, What::CutOff { from: 5, to: 6 });
}

/// By somebody who had the key of a run at its last moment: what it had written, the next start has
/// seen.
#[test]
fn what_was_added_to_an_epoch_after_its_end_is_named() {
    let mut world = World::new();
    let stolen = world.start();
    super::flush(&stolen, append(&stolen, "Encrypt")).unwrap();
    let log = world.start();
    world.stop(&log);
    world.verify().unwrap();
    super::flush(&stolen, append(&stolen, "Get")).unwrap();
    assert_eq!(world.verify().unwrap_err().what, What::Inserted { before: 3 });
}

#[test]
fn what_was_moved_or_put_in_is_named() {
    let lines = sound().lines();
    let second = start(&lines, 2);
    let swap = |it: &mut Parts| {
        let line = take(it, 5);
        remove(it, 5);
        insert(it, 4, line);
    };
    check("two in turn", swap, What::Reordered { seq: 4, found: 5 }, at(4));
    let later = |it: &mut Parts| {
        let line = take(it, 3);
        remove(it, 3);
        insert(it, 20, line);
    };
    check("one to another file", later, What::Reordered { seq: 3, found: 4 }, at(3));
    let inserted = |before| What::Inserted { before };
    check("one twice", |it| insert(it, 9, take(it, 5)), inserted(9), at(9));
    check("one twice in a row", |it| insert(it, 6, take(it, 5)), inserted(6), at(6));
    let forged = |it: &mut Parts| insert(it, 9, take(it, 9).replace("Encrypt", "Get"));
    check("a forged one before its like", forged, inserted(9), at(9));
    check("text", |it| insert(it, 9, "hello\n".to_owned()), inserted(9), at(9));
    let of_another = |it: &mut Parts| insert(it, 9, take(it, second));
    check("one of another epoch", of_another, What::Reordered { seq: 9, found: second }, at(9));
    let behind = |it: &mut Parts| {
        let line = take(it, 9);
        it.last_mut().unwrap().push(line);
    };
    check("one behind the last", behind, inserted(last(&lines) + 1), None);
}

#[test]
fn what_the_database_knows_has_to_fit() {
    let world = sound();
    let end = last(&world.lines());
    let check = |name: &str, change: &dyn Fn(&mut Expected), what: &dyn Fn(&What) -> bool| {
        let mut expected = world.expected();
        change(&mut expected);
        let verdict = kms_audit::verify(&world.files(), &expected).unwrap();
        let finding = verdict.err().unwrap_or_else(|| panic!("{name}: not found"));
        assert!(what(&finding.what), "{name}: {finding}");
    };
    let changed = |seq| move |what: &What| *what == What::Changed { seq };
    let unverifiable = |what: &What| matches!(what, What::Unverifiable { .. });
    check("another key", &|it| it.epochs[0].key = Some([9; 32].into()), &changed(1));
    check("a row that was altered", &|it| it.epochs[1].key = None, &unverifiable);
    check("no head", &|it| it.head = None, &unverifiable);
    let unknown = |what: &What| *what == What::UnknownEpoch { epoch: 3 };
    check("an older database", &|it| drop(it.epochs.pop()), &unknown);
    let head = |it: &mut Expected| it.head.as_mut().unwrap().1.mac[0] ^= 1;
    check("another head", &head, &changed(end));
    let to = start(&world.lines(), 2) - 1;
    let removed = |what: &What| *what == What::Removed { from: 1, to };
    check("no first epoch", &|it| drop(it.epochs.remove(0)), &removed);
    check("an epoch that is not there", &|it| drop(it.epochs.remove(1)), &|what| {
        matches!(what, What::CutOff { .. })
    });
    // What was cut off before the server started again cannot be hidden by starting it.
    let before = |it: &mut Expected| it.epochs[2].head = it.epochs[2].first + 4;
    check("an end that was missing at a start", &before, &|what| {
        matches!(what, What::CutOff { .. })
    });
}

/// What an operator reads has to name the record, and the file and line where there are any.
#[test]
fn findings_and_notes_name_what_they_are_about() {
    let at = |what| Finding { part: Some("a.jsonl".to_owned()), line: 7, what };
    let nowhere = |what| Finding { part: None, line: 0, what };
    for (finding, text) in [
        (at(What::Changed { seq: 9 }), "a.jsonl, line 7: record 9 was changed"),
        (at(What::Removed { from: 3, to: 3 }), "a.jsonl, line 7: record 3 was removed"),
        (at(What::Removed { from: 3, to: 5 }), "a.jsonl, line 7: records 3 to 5 were removed"),
        (
            at(What::Reordered { seq: 4, found: 5 }),
            "a.jsonl, line 7: records were reordered: 5 stands where 4 should",
        ),
        (at(What::Inserted { before: 6 }), "a.jsonl, line 7: a line was inserted before record 6"),
        (nowhere(What::CutOff { from: 8, to: 9 }), "cut off: records 8 to 9 are missing"),
        (
            nowhere(What::NoBeginning { from: 4 }),
            "no part begins with record 4 and says what that came after",
        ),
        (
            nowhere(What::UnknownEpoch { epoch: 2 }),
            "the database does not know epoch 2: an older database was put back, or the file was \
             added",
        ),
        (
            nowhere(What::Unverifiable { lacks: "the key of epoch 2".to_owned() }),
            "the database lacks the key of epoch 2",
        ),
    ] {
        assert_eq!(finding.to_string(), text);
    }
    for (note, words) in [
        (Note::LostTail { epoch: 3, after: 7 }, ["lost tail", "epoch 3", "after record 7"]),
        (Note::Open { epoch: 3, after: 7 }, ["is open", "epoch 3", "after record 7"]),
        (Note::TornLine { part: "a.jsonl".to_owned() }, ["a.jsonl", "within a line", "crash"]),
    ] {
        let text = note.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
}

#[test]
fn files_of_others_are_no_part_of_the_log() {
    let world = sound();
    for name in ["audit-5e7f-000001-1.jsonl", "audit-other-000001-000000000001.jsonl", "notes.txt"]
    {
        std::fs::write(world.files().directory().join(name), "hello\n").unwrap();
    }
    world.verify().unwrap();
}

#[test]
fn a_log_can_be_checked_from_a_file_on() {
    let world = sound();
    let (lines, paths) = (world.lines(), world.paths());
    let third = start(&lines, 3);
    let from = |from| {
        let expected = Expected { from: Some(from), ..world.expected() };
        kms_audit::verify(&world.files(), &expected).unwrap()
    };
    for (part, path) in paths.iter().enumerate() {
        let begin = first(&lines, part);
        let summary = from(begin).unwrap();
        assert_eq!(summary.records, last(&lines) + 1 - begin, "from {begin}");
        assert_eq!(summary.notes, []);
        assert!(part == 0 || from(begin - 1).is_err() || lines[part - 1].len() == 1);
        std::fs::remove_file(path).unwrap();
        if begin < third {
            assert!(from(begin).is_err());
        }
    }
    // What is named by the first record is under its MAC.
    std::fs::write(&paths[2], lines[2].concat().replacen("previous\":\"", "previous\":\"0", 1))
        .unwrap();
    let begin = first(&lines, 2);
    assert_eq!(from(begin).unwrap_err().what, What::Changed { seq: begin });
    std::fs::remove_file(&paths[2]).unwrap();
    assert_eq!(from(begin).unwrap_err().what, What::NoBeginning { from: begin });
}
